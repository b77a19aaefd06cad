import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { bar } from "./bar.js";
import { composer } from "./composer.js";
import { entrance, welcome } from "./entrance.js";
import { heading } from "./heading.js";
import { members } from "./members.js";
import { rooms } from "./rooms.js";
import { timeline } from "./timeline.js";
import { wire } from "./wire.js";

/** The whole page, from the state; `actions` is what a user can do. */
export const page = (state, actions) => html`
  ${state.status === "new" ? welcome(state, actions) : conversation(state, actions)}
  <p class="said-so" role="status">${state.said}</p>
`;

const conversation = (state, actions) => html`
  ${bar(state, actions)}
  <div class="columns">
    ${rooms(state, actions)}
    <main>
      ${state.status === "offline" || state.status === "refused" ? entrance(state, actions) : nothing}
      ${heading(state, actions)}
      ${timeline(state, actions)}
      ${composer(state, actions)}
    </main>
    ${members(state, actions)}
    ${state.wireOpen ? wire(state, actions) : nothing}
  </div>
`;
