import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { bar } from "./bar.js";
import { composer } from "./composer.js";
import { entrance } from "./entrance.js";
import { rooms } from "./rooms.js";
import { timeline } from "./timeline.js";
import { wire } from "./wire.js";

/** The whole page, from the state; `actions` is what a person can do. */
export const page = (state, actions) =>
  state.status === "new"
    ? html`<main class="welcome">${entrance(state, actions)}</main>`
    : conversation(state, actions);

const conversation = (state, actions) => html`
  ${bar(state, actions)}
  <div class="columns ${state.wireOpen ? "with-wire" : ""}">
    ${rooms(state, actions)}
    <main>
      ${state.status === "offline" || state.status === "refused" ? entrance(state, actions) : nothing}
      ${timeline(state, actions)}
      ${composer(state, actions)}
    </main>
    ${state.wireOpen ? wire(state, actions) : nothing}
  </div>
  <p class="said-so" role="status">${state.said}</p>
`;
