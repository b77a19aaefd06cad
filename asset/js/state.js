import { Room } from "./room.js";
import { line, Timelines } from "./timelines.js";
import { everything, roomOf, roomView, userOf, userView } from "./views.js";
import { Wire } from "./wire.js";

/**
 * What the page knows. Nothing here touches the document or the network.
 *
 * @param {import("./link.js").Entry} entry
 */
export function createState(entry) {
  return {
    /** The values of the start form. */
    entry,
    /** The token of the handshake; kept nowhere but here. */
    token: "",
    /** Whether the token has expired since it was sent. */
    expired: false,
    /** The field that gets the focus when it is next drawn. @type {"token" | "line" | undefined} */
    focus: undefined,
    /** The entry of the last connect by hand. @type {import("./link.js").Entry | undefined} */
    entered: undefined,
    /** Whether the next greeting is the first since a connect by hand. */
    arriving: false,
    /** Whether the rooms come from before a reload. */
    restored: false,
    /** @type {"new" | "connecting" | "connected" | "reconnecting" | "offline" | "refused"} */
    status: "new",
    /** In words: why the connection ended or was refused. */
    reason: "",
    attempt: 0,
    transport: "",
    /** The id of the node that the page is or was connected to; "" if the server is no node of several. */
    node: "",
    socketId: "",
    namespace: entry.namespace,
    /** The name by which the server knows this connection. */
    userId: "",
    /** Time to the last ack, in milliseconds. */
    roundTripMs: undefined,
    /** The rooms of this connection, or of the last one. @type {Map<string, Room>} */
    rooms: new Map(),
    /** The rooms that the next handshake asks for. @type {string[]} */
    wanted: [],
    /** Rooms whose own "joined" is no news, because the connection was in them before. @type {Set<string>} */
    returning: new Set(),
    /** What the page catches up with after a reconnect; undefined if nothing. */
    recovery: undefined,
    /** Direct conversations, by the other user. @type {Map<string, { unread: number }>} */
    conversations: new Map(),
    view: everything,
    /** Unsent texts, by view. @type {Map<string, string>} */
    drafts: new Map(),
    timelines: new Timelines(),
    wire: new Wire(),
    wireOpen: false,
    membersOpen: false,
    menuOpen: false,
    roomFilter: "",
    /** Whether the user is being asked about sending to all rooms. */
    confirming: false,
    /** For the script: the rooms in which the session began, and what was sent since. */
    began: [],
    /** @type {{ event: string, args: unknown[] }[]} */
    sent: [],
    /** In words: why the last action failed. */
    complaint: "",
    /** Confirms an action that has no other visible effect: "Copied". */
    said: "",
  };
}

/** Prepares a connect by hand. The same user in the same namespace finds everything as it was. */
export function prepareConnect(state) {
  const { entry, entered, restored } = state;
  const again = entered?.userId === entry.userId && entered.namespace === entry.namespace;
  if (!again) reset(state);
  if (saidBye(state)) state.sent = [];
  const asked = entry.room && !restored ? [entry.room] : [];
  Object.assign(state, {
    entered: { ...entry },
    namespace: entry.namespace,
    wanted: [...new Set([...state.rooms.keys(), ...asked])],
    // Shown at once, so that nothing moves when the server has let the page in.
    view: asked.length > 0 ? roomView(entry.room) : state.view,
    arriving: !restored,
    restored: false,
    attempt: 0,
    expired: false,
    complaint: "",
  });
}

function reset(state) {
  Object.assign(state, {
    userId: "",
    node: "",
    rooms: new Map(),
    conversations: new Map(),
    drafts: new Map(),
    timelines: new Timelines(),
    view: everything,
    sent: [],
  });
}

/** Whether `bye` is the last event that was sent. */
export const saidBye = ({ sent }) => sent.at(-1)?.event === "bye";

/** Shows a view and marks it as read. */
export function show(state, view) {
  Object.assign(state, { view, confirming: false, complaint: "" });
  const seen = (other) => view === everything || view === other;
  for (const [name, room] of state.rooms) if (seen(roomView(name))) room.unread = 0;
  for (const [name, conversation] of state.conversations) if (seen(userView(name))) conversation.unread = 0;
}

/** Opens a direct conversation, without showing it. */
export function openConversation(state, userId) {
  if (!state.conversations.has(userId)) state.conversations.set(userId, { unread: 0 });
  return state.conversations.get(userId);
}

/** Closes a direct conversation. */
export function closeConversation(state, userId) {
  state.conversations.delete(userId);
  state.timelines.drop(userView(userId));
  if (userOf(state.view) === userId) show(state, everything);
}

/** The page is no longer in this room, and does not ask for it when it reconnects. */
export function removeRoom(state, room) {
  state.timelines.drop(roomView(room));
  setRooms(
    state,
    [...state.rooms.keys()].filter((name) => name !== room),
  );
  state.timelines.add(line({ kind: "quiet", text: ["You left ", { name: room }] }), everything);
}

/** Sets the rooms of the connection; those that it was in before keep what is known about them. */
export function setRooms(state, names) {
  state.wanted = names;
  state.rooms = new Map(names.map((name) => [name, state.rooms.get(name) ?? new Room()]));
  showKnownRoom(state);
}

/** Shows everything if the chosen room is none of the connection's rooms. What the user was typing there comes along. */
export function showKnownRoom(state) {
  const { view, drafts } = state;
  const room = roomOf(view);
  if (room === undefined || state.rooms.has(room)) return;
  if (drafts.get(view) && !drafts.get(everything)) drafts.set(everything, drafts.get(view));
  drafts.delete(view);
  show(state, everything);
}

/** Adds a quiet line of the page's own to every timeline. @param {import("./words.js").Sentence} text */
export function remark(state, text) {
  state.timelines.add(line({ kind: "quiet", text }), everything, ...[...state.rooms.keys()].map(roomView));
}

/** Adds an answer for the user alone to the timeline in view and to "Everything". */
export function answered(state, text) {
  state.timelines.add(line({ kind: "quiet", text }), ...new Set([everything, state.view]));
}

/** The number of unread messages in all rooms and conversations. */
export const unreadIn = ({ rooms, conversations }) =>
  [...rooms.values(), ...conversations.values()].reduce((sum, { unread }) => sum + unread, 0);
