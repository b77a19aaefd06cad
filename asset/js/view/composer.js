import { createRef, ref } from "/vendor/lit-html/directives/ref.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { commandsOf, complete, parse } from "../commands.js";
import { everything } from "../timelines.js";

const field = createRef();
/** The lines that were sent, the oldest first, which of them is being looked at, and the one not sent yet. */
const past = { lines: [], at: 0, draft: "" };

/** Lets one type at once; who has moved on to something else is left there. */
export function focusLine() {
  if (document.activeElement === document.body) field.value?.focus();
}

/** The line one types into, as in the demo, with a history on the arrow keys and completion on Tab. */
export const composer = (state, actions) => {
  const { namespace, status, view } = state;
  const rooms = [...state.rooms.keys()];
  const suggest = () => complete(field.value?.value ?? "", { namespace, rooms });
  const where = view === everything ? "all your rooms" : view;
  const pressed = (event) => {
    // Asked anew, for a fast typist is ahead of the last drawing.
    const text = event.key === "Tab" && !event.shiftKey ? suggest() : recall(event.key);
    if (text === undefined) return;
    event.preventDefault();
    field.value.value = text;
    actions.redraw();
  };
  const typed = () =>
    actions.update((state) => {
      state.complaint = "";
    });
  return html`
    <form class="composer" @submit=${(event) => submit(event, state, actions)}>
      <label for="line" class="unseen">Message to ${where}</label>
      <input id="line" ${ref(field)} autocomplete="off" dir="auto" aria-describedby="hint"
        placeholder="Say something to ${where}" @keydown=${pressed} @input=${typed} />
      <button class="primary" ?disabled=${status !== "connected"}>Send</button>
      <p id="hint">${hint(state.complaint, suggest(), namespace)}</p>
    </form>
  `;
};

function hint(complaint, suggestion, namespace) {
  if (complaint) return html`<span class="failed" role="alert">${complaint}</span>`;
  if (suggestion) return html`<kbd>Tab</kbd> <bdi>${suggestion}</bdi>`;
  const commands = commandsOf(namespace).map(
    (command, index) => html`${index ? ", " : nothing}<code>${command}</code>`,
  );
  return html`or ${commands}`;
}

/** The line that an arrow key brings back, if there is one. */
function recall(key) {
  const { lines, at } = past;
  if (key === "ArrowUp" && at > 0) {
    if (at === lines.length) past.draft = field.value.value;
    return lines[--past.at];
  }
  if (key === "ArrowDown" && at < lines.length) return lines[++past.at] ?? past.draft;
  return undefined;
}

/** Sends the line. What could not be sent, or was not answered, is not lost: it stays, or comes back. */
async function submit(event, { namespace, view, status }, { send, redraw }) {
  event.preventDefault();
  const text = field.value.value;
  if (text === "" || status !== "connected") return;
  const { event: name, args } = parse(text, { namespace, view });
  // A token is not to come back for whoever looks on.
  if (name !== "auth") past.lines = [...past.lines, text].slice(-100);
  past.at = past.lines.length;
  field.value.value = "";
  const went = await send(name, ...args);
  if (!went && field.value.value === "") field.value.value = text;
  redraw();
}
