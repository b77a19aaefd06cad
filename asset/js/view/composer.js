import { createRef, ref } from "/vendor/lit-html/directives/ref.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { commandsOf, complete, parse } from "../commands.js";
import { everything } from "../timelines.js";

const field = createRef();

/** Lets one type at once; who has moved on to something else is left there. */
export function focusLine() {
  if (document.activeElement === document.body) field.value?.focus();
}

/** The lines that were sent, the oldest first, and which of them is being looked at. */
const past = { lines: [], at: 0 };

/** The line one types into, as in the demo, with a history on the arrow keys and completion on Tab. */
export const composer = (state, actions) => {
  const { namespace, status, view } = state;
  const rooms = [...state.rooms.keys()];
  const suggest = () => complete(field.value?.value ?? "", { namespace, rooms });
  const suggestion = suggest();
  const where = view === everything ? "all your rooms" : view;
  const pressed = (event) => {
    // Asked anew, for a fast typist is ahead of the last drawing.
    if (event.key === "Tab" && !event.shiftKey && suggest()) write(event, suggest());
    else if (event.key === "ArrowUp" && past.at > 0) write(event, past.lines[--past.at]);
    else if (event.key === "ArrowDown" && past.at < past.lines.length)
      write(event, past.lines[++past.at] ?? "");
    else return;
    actions.change(() => {});
  };
  return html`
    <form class="composer" @submit=${(event) => submit(event, state, actions)}>
      <label for="line" class="unseen">Message to ${where}</label>
      <input id="line" ${ref(field)} autocomplete="off" dir="auto" aria-describedby="hint"
        placeholder="Say something to ${where}" @keydown=${pressed} @input=${() => actions.change(() => {})} />
      <button class="primary" ?disabled=${status !== "connected"}>Send</button>
      <p id="hint">
        ${
          state.complaint
            ? html`<span class="failed" role="alert">${state.complaint}</span>`
            : suggestion
              ? html`<kbd>Tab</kbd> ${suggestion}`
              : html`or ${hints(namespace)}`
        }
      </p>
    </form>
  `;
};

const hints = (namespace) =>
  commandsOf(namespace).map((command, index) => html`${index ? ", " : nothing}<code>${command}</code>`);

function write(event, text) {
  event.preventDefault();
  field.value.value = text;
}

/** Sends the line. What could not be sent, or was not answered, is not lost: it stays, or comes back. */
async function submit(event, state, { send, change, look }) {
  event.preventDefault();
  const text = field.value.value;
  if (text === "" || state.status !== "connected") return;
  const { event: name, args } = parse(text, { namespace: state.namespace, view: state.view });
  past.lines = [...past.lines, text].slice(-100);
  past.at = past.lines.length;
  field.value.value = "";
  try {
    await send(name, ...args);
    if (name === "join") look(args[0]);
    change(() => {
      state.complaint = "";
    });
  } catch (error) {
    if (field.value.value === "") field.value.value = text;
    change(() => {
      state.complaint = error.message;
    });
  }
}
