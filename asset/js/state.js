import { everything, line, Timelines } from "./timelines.js";
import { Wire } from "./wire.js";
import { change, sentence } from "./words.js";

/**
 * All that the page knows, and how it changes. Nothing here touches the document or the network.
 *
 * @param {import("./link.js").Entry} entry
 */
export function createState(entry) {
  return {
    /** Who comes in, and where; what the entrance shows. */
    entry,
    /** @type {"new" | "connecting" | "connected" | "reconnecting" | "offline" | "turned away"} */
    status: "new",
    /** In words: why the connection ended or was turned away. */
    reason: "",
    attempt: 0,
    transport: "",
    socketId: "",
    namespace: entry.namespace,
    /** The name the server knows this connection by. */
    userId: "",
    /** Time to the last ack, in milliseconds. */
    roundTripMs: undefined,
    /** @type {Map<string, { members?: number, unread: number }>} */
    rooms: new Map(),
    /** The rooms one has come back into, whose hearing of it need not be told again. @type {string[]} */
    returning: [],
    /** The room in view, or everything. */
    view: everything,
    timelines: new Timelines(),
    wire: new Wire(),
    wireOpen: false,
    /** The events this window has sent, for the script. @type {{ event: string, args: unknown[] }[]} */
    sent: [],
    /** The error of the last line of the composer, in words. */
    complaint: "",
    /** What was done that cannot be seen: "Copied". */
    said: "",
  };
}

/** Somebody comes in by the entrance: afresh, or again under the name and on the namespace it had. */
export function comeIn(state) {
  const { userId, room, namespace } = state.entry;
  const again = state.userId !== "" && state.userId === userId && state.namespace === namespace;
  if (!again) {
    state.userId = "";
    state.rooms = new Map();
    state.sent = [];
    state.timelines = new Timelines();
    state.view = everything;
  }
  state.namespace = namespace;
  if (room && !state.rooms.has(room)) state.rooms.set(room, { unread: 0 });
}

/** The server greets the connection. */
export function greeted(state, message) {
  const back = state.userId !== "";
  state.returning = back ? message.rooms : [];
  state.userId = message.userId;
  state.rooms = new Map(message.rooms.map((name) => [name, { unread: state.rooms.get(name)?.unread ?? 0 }]));
  if (state.view !== everything && !state.rooms.has(state.view)) state.view = everything;
  if (!back && message.rooms.length === 1) state.view = message.rooms[0];
  const where = message.rooms.length ? `, in ${message.rooms.join(", ")} again` : "";
  remark(state, back ? `Back${where}` : sentence(message));
}

/** A message came through a room. */
export function heard(state, message) {
  const { id, userId, room, at } = message;
  const own = userId === state.userId;
  const what = change(message);
  const known = state.rooms.get(room);
  if (known?.members !== undefined && what) known.members += what === "joined" ? 1 : -1;
  if (own && what === "joined" && state.returning.includes(room)) return;
  const kind = message.state === "normal" ? "said" : "quiet";
  if (known && kind === "said" && !own && state.view !== room) known.unread++;
  state.timelines.hear(line({ id, kind, own, userId, text: sentence(message), at, rooms: [room] }));
}

/** The ack of `join` or `leave` tells which rooms one is in, and how many are in this one. */
export function moved(state, { room, rooms, members }) {
  state.rooms = new Map(rooms.map((name) => [name, state.rooms.get(name) ?? { unread: 0 }]));
  const joined = state.rooms.get(room);
  if (joined) joined.members = members;
  else {
    state.timelines.drop(room);
    if (state.view === room) state.view = everything;
  }
}

/** Puts a room, or everything, into view. */
export function look(state, room) {
  state.view = room;
  const known = state.rooms.get(room);
  if (known) known.unread = 0;
}

/** A quiet line of the page's own, in every timeline. */
export function remark(state, text) {
  state.timelines.add(line({ kind: "quiet", text }), everything, ...state.rooms.keys());
}

/** An answer to oneself, where one is looking and in the timeline of everything. */
export function answered(state, text) {
  state.timelines.add(line({ kind: "quiet", text }), ...new Set([everything, state.view]));
}
