import { live } from "/vendor/lit-html/directives/live.js";
import { createRef, ref } from "/vendor/lit-html/directives/ref.js";
import { html } from "/vendor/lit-html/lit-html.js";
import { goesToAll } from "../actions.js";
import { complete } from "../commands.js";
import { everything, titleOf } from "../views.js";
import { counted } from "../words.js";

const field = createRef();
/** The texts that were sent, oldest first; which one is shown; and the draft that it replaces. */
const past = { texts: [], at: 0, draft: "" };

/** Lets the user type at once, unless the focus is elsewhere already. */
export function focusLine({ always = false } = {}) {
  if (always || document.activeElement === document.body) field.value?.focus();
}

/** The field one types into, with earlier texts on the arrow keys and completion on Tab. */
export const composer = (state, actions) => {
  const { view } = state;
  const draft = state.drafts.get(view) ?? "";
  const where = view === everything ? "all your rooms" : titleOf(view);
  const typed = (event) => {
    state.drafts.set(view, event.currentTarget.value);
    Object.assign(state, { complaint: "", confirming: false });
    actions.redraw();
  };
  return html`
    <form class="composer" @submit=${(event) => submit(event, state, actions)}>
      <label for="line" class="unseen">Message to ${where}</label>
      <textarea id="line" rows="1" ${ref(field)} autocomplete="off" dir="auto" enterkeyhint="send" aria-describedby="hint"
        placeholder="Message to ${where}" .value=${live(draft)}
        @keydown=${(event) => pressed(event, state, actions)} @input=${typed}></textarea>
      <button class="primary" ?disabled=${state.status !== "connected"}>Send</button>
      <div id="hint" class="hint">${state.confirming ? confirmation(state, actions) : hint(state, draft)}</div>
    </form>
  `;
};

function hint(state, draft) {
  const suggestion = suggest(state, draft);
  if (state.complaint) return html`<span class="failed" role="alert">${state.complaint}</span>`;
  if (suggestion) return html`<kbd>Tab</kbd> <bdi>${suggestion}</bdi>`;
  return html`<span class="tips"><kbd>/</kbd> for commands, <kbd>Shift</kbd> <kbd>Enter</kbd> for a new line</span>`;
}

/** Asks before a text goes to several rooms at once. */
const confirmation = (state, actions) => html`
  <span role="alert">Send this to ${counted(state.rooms.size, "room")}?</span>
  <button type="button" class="primary" @click=${() => send(state, actions)}>Send to all</button>
  <button type="button" @click=${() => actions.update(() => (state.confirming = false))}>Cancel</button>
`;

/** What Tab would make of the text. */
function suggest({ namespace, rooms, conversations }, text) {
  const others = [...rooms.values()].flatMap(({ members }) => members.list().map(({ userId }) => userId));
  const users = [...new Set([...conversations.keys(), ...others])];
  return complete(text, { namespace, rooms: [...rooms.keys()], users });
}

function pressed(event, state, actions) {
  const { key, shiftKey, isComposing, currentTarget } = event;
  if (isComposing) return;
  if (key === "Enter" && !shiftKey) {
    event.preventDefault();
    return currentTarget.form.requestSubmit();
  }
  const text = key === "Tab" && !shiftKey ? suggest(state, currentTarget.value) : recall(key, currentTarget);
  if (text === undefined) return;
  event.preventDefault();
  state.drafts.set(state.view, text);
  // At once: a fast typist is ahead of the next frame.
  currentTarget.value = text;
  actions.redraw();
}

/** The text that an arrow key brings back, if the cursor cannot move further in that direction. */
function recall(key, { value, selectionStart, selectionEnd }) {
  if (key === "ArrowUp" && past.at > 0 && !value.slice(0, selectionStart).includes("\n")) {
    if (past.at === past.texts.length) past.draft = value;
    return past.texts[--past.at];
  }
  if (key === "ArrowDown" && past.at < past.texts.length && !value.slice(selectionEnd).includes("\n"))
    return past.texts[++past.at] ?? past.draft;
  return undefined;
}

function submit(event, state, actions) {
  event.preventDefault();
  const text = field.value.value;
  if (text.trim() === "" || state.status !== "connected") return;
  if (!goesToAll(text, state) || state.confirming) return send(state, actions);
  actions.update(() => (state.confirming = true));
}

/** Sends the draft. If it could not be sent, or was not acked, it comes back. */
async function send(state, actions) {
  const { view } = state;
  const text = field.value.value;
  state.confirming = false;
  state.drafts.delete(view);
  field.value.value = "";
  field.value.focus();
  // A token must not come back where others can read it.
  if (!text.startsWith("/auth ")) past.texts = [...past.texts, text].slice(-100);
  past.at = past.texts.length;
  if (!(await actions.run(text)) && !state.drafts.get(view)) state.drafts.set(view, text);
  actions.redraw();
}
