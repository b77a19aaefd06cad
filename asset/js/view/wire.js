import { guard } from "/vendor/lit-html/directives/guard.js";
import { repeat } from "/vendor/lit-html/directives/repeat.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { asEmit, isError } from "../wire.js";
import { size, time } from "../words.js";
import { emitBox } from "./emit.js";
import { inline, json } from "./json.js";

/** The most events that are listed; a filter finds the others. */
const longestList = 100;

/** The longest preview of an event, in characters. */
const longestPreview = 160;

/** Every event in and out, the newest first. */
export const wire = (state, actions) => {
  const { wire } = state;
  const shown = wire.shown;
  const events = shown.slice(-longestList).toReversed();
  return html`
    <aside class="wire" aria-label="Wire">
      ${controls(wire, shown.length, actions)}
      <ol tabindex="0" aria-label="Events on the wire">
        ${repeat(
          events,
          ({ key }) => key,
          (event) =>
            html`<li class=${event.direction}>${guard([event, event.ack, event.lost, event.open], () => item(event, actions))}</li>`,
        )}
      </ol>
      ${emitBox(state, actions)}
    </aside>
  `;
};

const controls = (wire, count, actions) => {
  const { update } = actions;
  const chip = (name, isPressed, change) =>
    html`<button type="button" class="chip" aria-pressed=${String(isPressed)} @click=${() => update(change)}>${name}</button>`;
  const close = () =>
    update((state) => {
      state.wireOpen = false;
    });
  return html`
    <form role="search" @submit=${(event) => event.preventDefault()}>
      <div class="panel-head">
        <input type="search" aria-label="Filter the wire" placeholder="Filter" .value=${wire.filter}
          @input=${({ currentTarget: { value } }) => update(() => (wire.filter = value))} />
        <button type="button" @click=${() => update(() => wire.clear())}>Clear</button>
        <button type="button" class="plain" aria-label="Close the wire" @click=${close}>×</button>
      </div>
      <div class="chips">
        ${["in", "out", "error"].map((kind) => chip(kind, wire.kinds.has(kind), () => wire.toggle(kind)))}
        ${names(wire, update)}
        ${chip(wire.held ? `paused, ${wire.held} new` : "pause", wire.pausedAt !== undefined, () => wire.pause())}
        <small role="status">${count.toLocaleString()} event${count === 1 ? "" : "s"}</small>
      </div>
    </form>
  `;
};

const names = (wire, update) => html`
  <select class="chip" aria-label="Event" @change=${({ currentTarget: { value } }) => update(() => (wire.name = value))}>
    <option value="" ?selected=${wire.name === ""}>all events</option>
    ${wire.names.map((name) => html`<option value=${name} ?selected=${wire.name === name}>${name}</option>`)}
  </select>
`;

const item = (one, { copy, update }) => html`
  <details class="event" @toggle=${({ currentTarget: { open } }) => update(() => (one.open = open))}>
    <summary>
      <span class="direction">${one.direction === "in" ? "↓ in" : "↑ out"}</span>
      <b class=${isError(one) ? "failed" : ""}>${one.event}</b>
      <small>${time(one.at)} · ${size(one.bytes)}${one.latencyMs === undefined ? "" : ` · ${one.latencyMs.toFixed(1)} ms`}</small>
      <code>${inline(one.args, longestPreview)}</code>
      ${outcome(one)}
    </summary>
    ${one.open ? unfolded(one) : nothing}
  </details>
  <button class="plain copy" title="Copy as a line of code" aria-label="Copy ${one.event} as a line of code"
    @click=${() => copy(asEmit(one), "the event")}>copy</button>
`;

const outcome = ({ ack, latencyMs, lost }) => {
  if (lost) return html`<small class="failed">no ack received</small>`;
  if (latencyMs === undefined) return nothing;
  return html`<code class=${ack?.error ? "failed" : ""}>ack ${inline([ack], longestPreview)}</code>`;
};

const unfolded = ({ args, ack, latencyMs }) => html`
  <div class="json">${args.map((value) => json(value))}</div>
  ${latencyMs === undefined ? nothing : html`<div class="json"><small>ack</small>${json(ack)}</div>`}
`;
