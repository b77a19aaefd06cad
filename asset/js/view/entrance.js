import { createRef, ref } from "/vendor/lit-html/directives/ref.js";
import { html } from "/vendor/lit-html/lit-html.js";
import { code } from "./code.js";

const tokenField = createRef();

/** Lets the user type a token at once, unless the user is in the middle of a text. */
export function focusToken() {
  const field = tokenField.value;
  if (!field) return;
  field.closest("details").open = true;
  if (!document.activeElement?.matches("[placeholder]:not(:placeholder-shown)")) field.focus();
}

/** The first screen: a name and a room, and how to connect without this page. */
export const welcome = (state, actions) => html`
  <main class="welcome">
    <section class="entrance first" aria-label="Connect">
      <h1>roomcast</h1>
      <p>
        A room server for Socket.IO clients is running here. Enter a name and a room. To try a conversation, open this
        page in a second window.
      </p>
      ${form(state, actions, "Enter the room")}
      <p><a href="/docs/">Documentation</a></p>
    </section>
    ${code(state, actions)}
  </main>
`;

/** The way back in, with the reason why the connection ended. */
export const entrance = (state, actions) => html`
  <section class="entrance" aria-label="Connect">
    <p id="reason" role="alert" class=${state.status === "refused" ? "failed" : ""}>
      ${state.status === "refused" ? "Refused. " : ""}${state.reason}
    </p>
    ${form(state, actions, "Connect")}
  </section>
`;

const form = (state, { enter, redraw }, verb) => {
  const { entry, token } = state;
  const submit = (event) => {
    event.preventDefault();
    const { token, ...entry } = Object.fromEntries(new FormData(event.currentTarget));
    Object.assign(state, { entry });
    enter(token.trim());
  };
  const typed = ({ target: { name, value } }) => {
    if (name in entry) entry[name] = value;
    redraw();
  };
  return html`
    <form @submit=${submit} @input=${typed}>
      <label>Name <input name="userId" autocomplete="off" maxlength="128" .value=${entry.userId} /></label>
      <label>Room <input name="room" autocomplete="off" maxlength="128" .value=${entry.room} /></label>
      <button class="primary">${verb}</button>
      <details class="advanced">
        <summary>Advanced</summary>
        <div>
          <label>
            Namespace
            <select name="namespace">
              <option ?selected=${entry.namespace === "/"}>/</option>
              <option ?selected=${entry.namespace === "/chat"}>/chat</option>
            </select>
          </label>
          <label>
            Token (if required)
            <input name="token" type="password" autocomplete="off" .value=${token} ${ref(tokenField)} />
          </label>
        </div>
      </details>
    </form>
  `;
};
