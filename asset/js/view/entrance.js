import { html } from "/vendor/lit-html/lit-html.js";

/** Where one says who one is and where to go: the first thing a visitor sees, and the way back in. */
export const entrance = (state, { enter }) => {
  const { entry, status, reason } = state;
  const first = status === "new";
  const submit = (event) => {
    event.preventDefault();
    enter(Object.fromEntries(new FormData(event.currentTarget)));
  };
  return html`
    <section class="entrance ${first ? "first" : ""}" aria-label="Connect">
      ${
        first
          ? html`<h1>roomcast</h1>
              <p>
                A room server for Socket.IO clients is running here. Pick a name and a room; open this page in a
                second window to have somebody to talk to.
              </p>`
          : html`<p role="alert" class=${status === "turned away" ? "failed" : ""}>
              ${status === "turned away" ? "Turned away. " : ""}${reason}
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
        <button class="primary">${first ? "Enter the room" : "Connect"}</button>
      </form>
    </section>
  `;
};
