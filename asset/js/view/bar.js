import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { script } from "../script.js";

const inStatus = ({ status, attempt }) =>
  status === "reconnecting" ? `reconnecting${attempt ? `, attempt ${attempt}` : ""} …` : status;

/** The connection: its state, user and transport, and the tools of the page. On a phone, all but the state is a menu. */
export const bar = (state, actions) => {
  const { menuOpen } = state;
  const toggleMenu = () =>
    actions.update((state) => {
      state.menuOpen = !menuOpen;
    });
  return html`
    <header>
      <h1>roomcast</h1>
      <span class="status" data-status=${state.status} role="status">${inStatus(state)}</span>
      <button class="menu plain" aria-expanded=${String(menuOpen)} aria-controls="tools" @click=${toggleMenu}>Menu</button>
      <div id="tools" class="tools ${menuOpen ? "open" : ""}">${facts(state, actions)} ${tools(state, actions)}</div>
    </header>
  `;
};

const facts = ({ namespace, userId, status, transport, node, roundTripMs, socketId }, actions) => {
  const on = status === "connected";
  return html`
    <dl>
      ${userId ? fact("name", html`<bdi title=${userId}>${userId}</bdi>`) : nothing}
      ${fact("namespace", namespace)}
      ${on && node ? fact("node", html`<code>${node}</code>`, "node") : nothing}
      ${on ? fact("over", transport, "detail") : nothing}
      ${on && roundTripMs !== undefined ? fact("ack", `${roundTripMs.toFixed(roundTripMs < 10 ? 1 : 0)} ms`, "detail") : nothing}
      ${on ? fact("id", copyable(socketId, actions), "detail id") : nothing}
    </dl>
  `;
};

const tools = (state, actions) => {
  const { wireOpen, status, namespace, userId, began, sent, token } = state;
  const gone = status === "offline" || status === "refused";
  const toggleWire = () =>
    actions.update((state) => {
      Object.assign(state, { wireOpen: !wireOpen, menuOpen: false });
      // There is seldom room for both.
      if (state.wireOpen && matchMedia("(max-width: 90rem)").matches) state.membersOpen = false;
    });
  const copyScript = () =>
    actions.copy(
      script(location.origin + namespace, { userId, room: began }, sent, token !== ""),
      "a Node script of this conversation",
    );
  return html`
    <nav aria-label="Tools">
      <a class="button plain" href="/docs/" target="_blank">Docs</a>
      <button class="plain" @click=${copyScript} title="Copy a Node script that repeats what you did in this window">
        Copy as script
      </button>
      ${gone ? nothing : html`<button class="plain" @click=${actions.disconnect}>Disconnect</button>`}
      <button @click=${toggleWire} aria-expanded=${String(wireOpen)}>Wire</button>
    </nav>
  `;
};

/** @param kind "detail": only a wide window and the menu have room for it */
const fact = (name, value, kind = nothing) =>
  html`<div class=${kind}><dt>${name}</dt><dd>${value}</dd></div>`;

const copyable = (socketId, { copy }) => html`
  <button class="plain" title="Copy the socket id" aria-label="Copy the socket id ${socketId}"
    @click=${() => copy(socketId, "the socket id")}><code>${socketId}</code></button>
`;
