import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { everything, roomView, userView } from "../views.js";
import { counted } from "../words.js";
import { avatar } from "./text.js";

/** From this number of rooms and conversations on, the list has a filter. */
const longList = 8;

/** The rooms and direct conversations, and the way into another room. */
export const rooms = (state, actions) => {
  const join = async (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    if (await actions.join(form.elements.room.value)) form.reset();
  };
  const isLong = state.rooms.size + state.conversations.size > longList;
  const wanted = isLong ? state.roomFilter.toLowerCase() : "";
  const matching = (entries) => [...entries].filter(([name]) => name.toLowerCase().includes(wanted));
  return html`
    <nav class="rooms" aria-label="Rooms">
      ${isLong ? filter(state, actions) : nothing}
      <ul>
        <li>${choice(state, actions, everything, "Everything")}</li>
        ${matching(state.rooms).map(([name, room]) => oneRoom(state, actions, name, room))}
        ${matching(state.conversations).map(([name, known]) => oneConversation(state, actions, name, known))}
      </ul>
      <form class="join" @submit=${join}>
        <input name="room" required maxlength="128" autocomplete="off" aria-label="Room to join" placeholder="Another room" />
        <button ?disabled=${state.status !== "connected"}>Join</button>
      </form>
    </nav>
  `;
};

const filter = ({ roomFilter }, actions) => html`
  <input type="search" class="room-filter" aria-label="Filter the rooms" placeholder="Filter" .value=${roomFilter}
    @input=${({ currentTarget: { value } }) =>
      actions.update((state) => {
        state.roomFilter = value;
      })} />
`;

const oneRoom = (state, actions, name, { members, unread }) => html`
  <li>
    ${choice(state, actions, roomView(name), name, {
      sign: html`<span class="sign" aria-hidden="true">#</span>`,
      detail: members.total === undefined ? "" : counted(members.total, "member"),
      unread,
    })}
    ${close(`Leave ${name}`, () => actions.leave(name))}
  </li>
`;

const oneConversation = (state, actions, name, { unread }) => html`
  <li>
    ${choice(state, actions, userView(name), name, { sign: avatar(name), detail: "direct", unread })}
    ${close(`Close the conversation with ${name}`, () => actions.closeConversation(name))}
  </li>
`;

const choice = (state, { show }, view, title, { sign = nothing, detail = "", unread = 0 } = {}) => html`
  <button class="room plain" title=${title} aria-current=${state.view === view ? "true" : "false"}
    @click=${() => show(view)}>
    ${sign}
    <bdi>${title}</bdi>
    ${detail ? html`<small>${detail}</small>` : nothing}
    ${unread ? html`<span class="unread" aria-label="${unread} unread">${unread}</span>` : nothing}
  </button>
`;

const close = (title, action) => html`
  <button class="plain close" title=${title} aria-label=${title} @click=${action}>×</button>
`;
