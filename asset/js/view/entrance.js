import { createRef, ref } from "/vendor/lit-html/directives/ref.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";

const tokenField = createRef();

/** Lets one type a token at once; who is in the middle of a line is left there. */
export function focusToken() {
  if (!document.activeElement?.matches("[placeholder]:not(:placeholder-shown)")) tokenField.value?.focus();
}

/** Where one says who one is and where to go: the first thing a visitor sees, and the way back in. */
export const entrance = (state, { enter }) => {
  const { entry, token, status, reason } = state;
  const first = status === "new";
  const submit = (event) => {
    event.preventDefault();
    const { token, ...entry } = Object.fromEntries(new FormData(event.currentTarget));
    enter(entry, token.trim());
  };
  return html`
    <section class="entrance ${first ? "first" : ""}" aria-label="Connect">
      ${
        first
          ? html`<h1>roomcast</h1>
              <p>
                A room server for Socket.IO clients is running here. Enter a name and a room. Open this page in a
                second window to have somebody to talk to.
              </p>`
          : html`<p id="reason" role="alert" class=${status === "refused" ? "failed" : ""}>
              ${status === "refused" ? "Refused. " : ""}${reason}
            </p>`
      }
      <form @submit=${submit}>
        <label>Name <input name="userId" autocomplete="off" maxlength="128" .value=${entry.userId} /></label>
        <label>Room <input name="room" autocomplete="off" maxlength="128" .value=${entry.room} /></label>
        <label>
          Namespace
          <select name="namespace">
            <option ?selected=${entry.namespace === "/"}>/</option>
            <option ?selected=${entry.namespace === "/chat"}>/chat</option>
          </select>
        </label>
        <label class="token">
          Token (if required)
          <input name="token" type="password" autocomplete="off" aria-describedby=${first ? nothing : "reason"}
            .value=${token} ${ref(tokenField)} />
        </label>
        <button class="primary">${first ? "Enter the room" : "Connect"}</button>
      </form>
      ${first ? html`<p><a href="/docs/">Documentation</a></p>` : nothing}
    </section>
  `;
};
