import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { invitation, linkTo, nextName } from "../link.js";
import { everything, roomOf, titleOf, userOf } from "../views.js";
import { counted } from "../words.js";
import { avatar } from "./text.js";

/** The chosen view: its name, who is there, and how to invite others. */
export const heading = (state, actions) => {
  const { view } = state;
  const room = roomOf(view);
  const user = userOf(view);
  return html`
    <div class="heading">
      ${user === undefined ? nothing : avatar(user)}
      <h2><bdi title=${titleOf(view)}>${titleOf(view)}</bdi></h2>
      ${view === everything ? html`<small>${counted(state.rooms.size, "room")}</small>` : nothing}
      ${user === undefined ? nothing : html`<small>${whereabouts(state, user)}</small>`}
      ${room === undefined ? nothing : ofRoom(state, actions, room)}
    </div>
  `;
};

/** Whether a user is in a room that this connection is in too. */
function whereabouts({ rooms }, userId) {
  const isHere = [...rooms.values()].some(({ members }) => members.has(userId));
  return isHere ? "online" : "not in your rooms";
}

const ofRoom = (state, actions, room) => {
  const { namespace, membersOpen } = state;
  const total = state.rooms.get(room)?.members.total;
  const toggle = () =>
    actions.update((state) => {
      state.membersOpen = !membersOpen;
    });
  return html`
    <button class="plain" aria-expanded=${String(membersOpen)} aria-controls="members"
      title="Show or hide the members" @click=${toggle}>${total === undefined ? "members" : counted(total, "member")}</button>
    <span class="actions">
      <button class="plain" title="Copy a link that invites others to ${room}"
        @click=${() => actions.copy(location.origin + invitation(room, namespace), "a link to this room")}>Invite</button>
      <a class="button plain wide" target="_blank" title="Open ${room} as another user"
        href=${linkTo({ room, userId: nextName(state.userId), namespace })}>Open as another user</a>
    </span>
  `;
};
