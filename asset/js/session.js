import { Room } from "./room.js";
import { everything, roomOf, userOf } from "./views.js";

/*
 * What survives a reload of the window: its rooms, its conversations and its unsent texts, but no token and no
 * message. The browser forgets it when the window is closed.
 */

const key = "roomcast";
let saved = "";

/** Saves the session, if it has changed. */
export function save({ status, entered, rooms, conversations, view, drafts }) {
  if (status === "new") return;
  const session = {
    entry: entered,
    rooms: [...rooms.keys()],
    users: [...conversations.keys()],
    view,
    drafts: [...drafts].filter(([, text]) => text && !text.startsWith("/auth")),
  };
  const json = JSON.stringify(session);
  if (json === saved) return;
  saved = json;
  store((storage) => storage.setItem(key, json));
}

/** Restores the session of this entry, if the window had one before it was reloaded. */
export function restore(state) {
  const session = store((storage) => JSON.parse(storage.getItem(key)));
  const { entry } = state;
  const isSame =
    session && ["userId", "room", "namespace"].every((field) => session.entry[field] === entry[field]);
  if (!isSame) return;
  state.rooms = new Map(session.rooms.map((name) => [name, new Room()]));
  state.conversations = new Map(session.users.map((name) => [name, { unread: 0 }]));
  state.drafts = new Map(session.drafts);
  const isKnown =
    session.rooms.includes(roomOf(session.view)) || session.users.includes(userOf(session.view));
  state.view = isKnown ? session.view : everything;
  state.entered = { ...entry };
  state.restored = session.rooms.length > 0;
}

/** Browsers may be set to refuse storage. */
function store(use) {
  try {
    return use(sessionStorage);
  } catch {
    return undefined;
  }
}
