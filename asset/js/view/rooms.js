import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { guest, linkTo } from "../link.js";
import { everything } from "../timelines.js";
import { members } from "../words.js";

/** The rooms one is in, and the way into another. */
export const rooms = (state, actions) => {
  const join = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    if (await actions.send("join", form.elements.room.value)) form.reset();
  };
  return html`
    <nav class="rooms" aria-label="Rooms">
      <ul>
        <li>${choice(state, actions, everything, "Everything", "")}</li>
        ${[...state.rooms].map(([name, room]) => one(state, actions, name, room))}
      </ul>
      <form class="join" @submit=${join}>
        <input name="room" required maxlength="128" autocomplete="off" aria-label="Room to join" placeholder="Another room" />
        <button ?disabled=${state.status !== "connected"}>Join</button>
      </form>
    </nav>
  `;
};

const one = (state, actions, name, room) => html`
  <li>
    ${choice(state, actions, name, name, members(room.members), room.unread)}
    <a class="button plain" target="_blank" title="Open ${name} as another user" aria-label="Open ${name} as another user"
      href=${linkTo({ room: name, userId: guest(state.userId), namespace: state.namespace })}>↗</a>
    <button class="plain" title="Leave ${name}" aria-label="Leave ${name}" @click=${() => actions.leave(name)}>×</button>
  </li>
`;

const choice = (state, { look }, room, title, detail, unread = 0) => html`
  <button class="room plain" title=${title} aria-current=${state.view === room ? "true" : "false"}
    @click=${() => look(room)}>
    <bdi>${title}</bdi>
    ${detail ? html`<small>${detail}</small>` : nothing}
    ${unread ? html`<span class="unread" aria-label="${unread} unread">${unread}</span>` : nothing}
  </button>
`;
