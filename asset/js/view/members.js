import { repeat } from "/vendor/lit-html/directives/repeat.js";
import { html, nothing } from "/vendor/lit-html/lit-html.js";
import { Members } from "../members.js";
import { roomOf } from "../views.js";
import { avatar } from "./text.js";

/** The most users that are listed. */
const longestList = 500;

/** The members of the chosen room, oneself first. A click on another user starts a direct conversation. */
export const members = (state, actions) => {
  const room = roomOf(state.view);
  if (room === undefined || !state.membersOpen) return nothing;
  const known = state.rooms.get(room)?.members ?? new Members();
  const users = known.list(state.userId).slice(0, longestList);
  const hidden = (known.total ?? 0) - users.length;
  const close = () =>
    actions.update((state) => {
      state.membersOpen = false;
    });
  return html`
    <aside id="members" class="members" aria-label="Members">
      <div class="panel-head"><h3>Members</h3><button class="plain" aria-label="Hide the members" @click=${close}>×</button></div>
      <ul>
        ${repeat(
          users,
          ({ userId }) => userId,
          (user) => html`<li>${member(user, user.userId === state.userId, actions)}</li>`,
        )}
      </ul>
      ${hidden > 0 ? html`<p><small>and ${hidden.toLocaleString()} more</small></p>` : nothing}
    </aside>
  `;
};

const member = ({ userId, connections }, isSelf, actions) => {
  const content = html`${avatar(userId)}<bdi>${userId}</bdi><small>${detail(connections, isSelf)}</small>`;
  if (isSelf) return html`<div class="member">${content}</div>`;
  return html`
    <button class="member plain ${connections === 0 ? "away" : ""}" title="Write to ${userId}" @click=${() => actions.openConversation(userId)}>
      ${content}
    </button>
  `;
};

function detail(connections, isSelf) {
  const tabs = connections === 0 ? "reconnecting" : connections > 1 ? `${connections} tabs` : "";
  return [isSelf ? "you" : "", tabs].filter(Boolean).join(", ");
}
