import { repeat } from "/vendor/lit-html/directives/repeat.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { asEmit } from "../wire.js";
import { size, time } from "../words.js";

/** An argument longer than this is shown cut; it is copied whole. */
const longestShown = 300;

/** How many of the newest events are listed; a filter finds the others. */
const longestList = 200;

/** Every event in and out, the newest first. */
export const wire = (state, actions) => {
  const { wire } = state;
  const filter = ({ currentTarget }) =>
    actions.change(() => {
      wire.filter = currentTarget.value;
    });
  return html`
    <aside class="wire" aria-label="Wire">
      <form role="search" @submit=${(event) => event.preventDefault()}>
        <input type="search" aria-label="Filter the wire" placeholder="Filter" .value=${wire.filter} @input=${filter} />
        <button type="button" @click=${() => actions.change(() => wire.clear())}>Clear</button>
      </form>
      <ol tabindex="0" aria-label="Events on the wire">
        ${repeat(
          wire.shown.slice(-longestList).toReversed(),
          ({ key }) => key,
          (entry) => item(entry, actions),
        )}
      </ol>
    </aside>
  `;
};

const item = (entry, { copy }) => html`
  <li class=${entry.direction}>
    <span class="direction">${entry.direction === "in" ? "↓ in" : "↑ out"}</span>
    <b>${entry.event}</b>
    <small>${time(entry.at)} · ${size([entry.event, ...entry.args])}</small>
    <button class="plain" title="Copy as a line of code" aria-label="Copy ${entry.event} as a line of code"
      @click=${() => copy(asEmit(entry), "the event")}>copy</button>
    <code dir="auto">${entry.args.map(shown).join(", ")}</code>
    ${
      entry.latencyMs === undefined
        ? nothing
        : html`<code dir="auto" class=${entry.ack?.error ? "failed" : ""}>ack ${shown(entry.ack)}</code>
            <small>${entry.latencyMs.toFixed(1)} ms</small>`
    }
  </li>
`;

function shown(value) {
  const text = JSON.stringify(value) ?? "";
  return text.length > longestShown ? `${text.slice(0, longestShown)} …` : text;
}
