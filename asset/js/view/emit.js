import { html, nothing } from "/vendor/lit-html/lit-html.js";

const known = [
  "chat",
  "publish",
  "join",
  "leave",
  "history",
  "who",
  "watch",
  "unwatch",
  "tell",
  "whisper",
  "notice",
];

/** What went wrong with the last event of the box; "" if nothing did. */
let complaint = "";

/** Emits any event with any arguments, which are JSON. The ack appears on the wire. */
export const emitBox = ({ status }, { emit, redraw }) => {
  const submit = async (event) => {
    event.preventDefault();
    const { elements } = event.currentTarget;
    complaint = await emit({
      event: elements.event.value.trim(),
      args: elements.args.value,
      wantsAck: elements.ack.checked,
    });
    redraw();
  };
  return html`
    <details class="emit">
      <summary>Emit an event</summary>
      <form @submit=${submit}>
        <input name="event" aria-label="Event to emit" placeholder="Event" list="events" autocomplete="off" />
        <datalist id="events">${known.map((name) => html`<option value=${name}></option>`)}</datalist>
        <label class="check"><input type="checkbox" name="ack" checked /> with ack</label>
        <textarea name="args" rows="2" aria-label="Arguments as JSON" placeholder='"lobby", { "typing": true }' spellcheck="false"></textarea>
        <button class="primary" ?disabled=${status !== "connected"}>Emit</button>
        ${complaint ? html`<p class="failed" role="alert">${complaint}</p>` : nothing}
      </form>
    </details>
  `;
};
