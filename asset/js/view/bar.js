import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { script } from "../script.js";

const inStatus = ({ status, attempt }) =>
  status === "reconnecting" ? `reconnecting${attempt ? `, attempt ${attempt}` : ""} …` : status;

/** The connection: its state, its transport, who one is, and the last round trip. */
export const bar = (state, actions) => {
  const { namespace, status, socketId, transport, userId, roundTripMs, wireOpen, began, sent, token } = state;
  const on = status === "connected";
  const gone = status === "offline" || status === "refused";
  const toggleWire = () =>
    actions.update((state) => {
      state.wireOpen = !wireOpen;
    });
  const copyScript = () =>
    actions.copy(
      script(location.origin + namespace, { userId, room: began }, sent, token !== ""),
      "a Node script of this conversation",
    );
  return html`
    <header>
      <h1>roomcast</h1>
      <span class="status" data-status=${status} role="status">${inStatus(state)}</span>
      <dl>
        ${fact("namespace", namespace)}
        ${userId ? fact("name", html`<bdi title=${userId}>${userId}</bdi>`) : nothing}
        ${on ? fact("over", transport) : nothing}
        ${on && roundTripMs !== undefined ? fact("ack", `${roundTripMs.toFixed(roundTripMs < 10 ? 1 : 0)} ms`) : nothing}
        ${on ? fact("id", copyable(socketId, actions)) : nothing}
      </dl>
      <nav aria-label="Tools">
        <button @click=${copyScript} title="Copy a Node script that does what this window has done">
          Copy as script
        </button>
        <button @click=${toggleWire} aria-expanded=${String(wireOpen)}>Wire</button>
        ${gone ? nothing : html`<button @click=${actions.disconnect}>Disconnect</button>`}
      </nav>
    </header>
  `;
};

const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

const copyable = (socketId, { copy }) => html`
  <button class="plain" title="Copy the socket id" aria-label="Copy the socket id ${socketId}"
    @click=${() => copy(socketId, "the socket id")}><code>${socketId}</code></button>
`;
