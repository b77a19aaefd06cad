import { repeat } from "/vendor/lit-html/directives/repeat.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { asEmit, literal } from "../wire.js";
import { size, time } from "../words.js";

/** How many of the newest events are listed; a filter finds the others. */
const longestList = 200;

/** An argument longer than this is shown cut; it is copied whole. */
const longestShown = 300;

/** Every event in and out, the newest first. */
export const wire = ({ wire }, actions) => {
  const filter = ({ currentTarget }) =>
    actions.update(() => {
      wire.filter = currentTarget.value;
    });
  const events = wire.shown.slice(-longestList).toReversed();
  return html`
    <aside class="wire" aria-label="Wire">
      <form role="search" @submit=${(event) => event.preventDefault()}>
        <input type="search" aria-label="Filter the wire" placeholder="Filter" .value=${wire.filter} @input=${filter} />
        <button type="button" @click=${() => actions.update(() => wire.clear())}>Clear</button>
      </form>
      <ol tabindex="0" aria-label="Events on the wire">
        ${repeat(
          events,
          ({ key }) => key,
          (event) => item(event, actions),
        )}
      </ol>
    </aside>
  `;
};

const item = (one, { copy }) => html`
  <li class=${one.direction}>
    <span class="direction">${one.direction === "in" ? "↓ in" : "↑ out"}</span>
    <b>${one.event}</b>
    <small>${time(one.at)} · ${size(one.bytes)}</small>
    <button class="plain" title="Copy as a line of code" aria-label="Copy ${one.event} as a line of code"
      @click=${() => copy(asEmit(one), "the event")}>copy</button>
    <code>${one.args.map(shown).join(", ")}</code>
    ${outcome(one)}
  </li>
`;

const outcome = ({ ack, latencyMs, lost }) => {
  if (lost) return html`<small class="failed">no ack came</small>`;
  if (latencyMs === undefined) return nothing;
  return html`<code class=${ack?.error ? "failed" : ""}>ack ${shown(ack)}</code>
    <small>${latencyMs.toFixed(1)} ms</small>`;
};

function shown(value) {
  const text = literal(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)} …` : text;
}
