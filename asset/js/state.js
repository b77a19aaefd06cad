import { everything, line, Timelines } from "./timelines.js";
import { Wire } from "./wire.js";
import { effect, list, moment, sentence } from "./words.js";

/**
 * What the page knows, and how it changes. Nothing here touches the document or the network.
 *
 * @param {import("./link.js").Entry} entry
 */
export function createState(entry) {
  return {
    /** Who comes in, and where; what the entrance shows. */
    entry,
    /** What the handshake shows where the server asks for it; kept nowhere but here. */
    token: "",
    /** The token has expired since it was shown. */
    expired: false,
    /** What gets the keyboard when it is next drawn. @type {"token" | undefined} */
    focus: undefined,
    /** The entry one came in by last. @type {import("./link.js").Entry | undefined} */
    entered: undefined,
    /** Whether the next greeting is the first since one came in by the entrance. */
    arriving: false,
    /** @type {"new" | "connecting" | "connected" | "reconnecting" | "offline" | "refused"} */
    status: "new",
    /** In words: why the connection ended or was refused. */
    reason: "",
    attempt: 0,
    transport: "",
    socketId: "",
    namespace: entry.namespace,
    /** The name the server knows this connection by. */
    userId: "",
    /** Time to the last ack, in milliseconds. */
    roundTripMs: undefined,
    /** Those one is in, or was in when the connection was lost. @type {Map<string, { members?: number, unread: number }>} */
    rooms: new Map(),
    /** What the next handshake asks for. @type {string[]} */
    wanted: [],
    /** Rooms one has come back into, where hearing oneself join would be no news. @type {Set<string>} */
    returning: new Set(),
    /** The room in view, or everything. */
    view: everything,
    timelines: new Timelines(),
    wire: new Wire(),
    wireOpen: false,
    /** For the script: the rooms the story began in, and what was sent since. */
    began: [],
    /** @type {{ event: string, args: unknown[] }[]} */
    sent: [],
    /** What went wrong with the last thing one did, in words. */
    complaint: "",
    /** What was done that cannot be seen otherwise: "Copied". */
    said: "",
  };
}

/** Somebody comes in by the entrance; who comes again, by the same name to the same namespace, finds all as it was. */
export function comeIn(state) {
  const { entry, entered } = state;
  const again = entered?.userId === entry.userId && entered.namespace === entry.namespace;
  if (!again) {
    Object.assign(state, {
      userId: "",
      rooms: new Map(),
      timelines: new Timelines(),
      view: everything,
      sent: [],
    });
  }
  if (saidBye(state)) state.sent = [];
  const wanted = [...new Set([...state.rooms.keys(), ...(entry.room ? [entry.room] : [])])];
  Object.assign(state, {
    entered: entry,
    namespace: entry.namespace,
    wanted,
    arriving: true,
    attempt: 0,
    expired: false,
    complaint: "",
  });
}

/** Whether bye is the last thing one has sent. */
export const saidBye = ({ sent }) => sent.at(-1)?.event === "bye";

/** The token has expired; the server waits a while for a new one. */
export function expired(state) {
  state.expired = true;
  state.complaint = "Token expired: send auth and a new one.";
  remark(state, ["Your token has expired"]);
}

/** The server has taken a new token, which may allow fewer rooms. */
export function authorized(state, token, { expiresAt, rooms }) {
  Object.assign(state, { token, expired: false, complaint: "" });
  for (const room of [...state.rooms.keys()]) if (!rooms.includes(room)) forget(state, room);
  answered(state, [
    `The new token ${expiresAt === null ? "does not expire" : `is valid until ${moment(expiresAt)}`}`,
  ]);
}

/** The server greets the connection. */
export function greeted(state, message) {
  const { entry, rooms: before, arriving } = state;
  // By a new token one may be somebody else.
  const back = state.userId === message.userId;
  state.userId = message.userId;
  state.arriving = false;
  state.returning = new Set(message.rooms.filter((room) => before.has(room)));
  setRooms(state, message.rooms);
  if (state.sent.length === 0) state.began = message.rooms;
  if (arriving && state.rooms.has(entry.room)) look(state, entry.room);
  const again = state.returning.size ? [", in ", ...list([...state.returning]), " again"] : [];
  remark(state, back ? ["Back", ...again] : sentence(message));
}

/** A message came through a room. */
export function heard(state, message) {
  const { id, userId, room, at } = message;
  const own = userId === state.userId;
  const what = effect(message);
  const known = state.rooms.get(room);
  if (known?.members !== undefined && what) known.members += what === "joined" ? 1 : -1;
  if (own && what === "joined" && state.returning.delete(room)) return;
  const kind = message.state === "normal" ? "said" : "quiet";
  const seen = state.view === room || state.view === everything;
  if (known && kind === "said" && !own && !seen) known.unread++;
  state.timelines.hear(line({ id, kind, own, userId, text: sentence(message), at, rooms: [room] }));
}

/** The ack of `join` or `leave` tells which rooms one is in, and how many are in this one. */
export function moved(state, { room, rooms, members }) {
  if (state.rooms.has(room) && !rooms.includes(room)) forget(state, room);
  setRooms(state, rooms);
  const joined = state.rooms.get(room);
  if (joined) joined.members = members;
}

/** One is not in this room any more, nor asks for it when one comes back. */
export function forget(state, room) {
  state.timelines.drop(room);
  setRooms(
    state,
    [...state.rooms.keys()].filter((name) => name !== room),
  );
  state.timelines.add(line({ kind: "quiet", text: ["You left ", { name: room }] }), everything);
}

/** Puts a room, or everything, into view. */
export function look(state, room) {
  state.view = room;
  for (const [name, known] of state.rooms) if (room === everything || name === room) known.unread = 0;
}

/** A quiet line of the page's own, in every timeline. @param {import("./words.js").Sentence} text */
export function remark(state, text) {
  state.timelines.add(line({ kind: "quiet", text }), everything, ...state.rooms.keys());
}

/** An answer to oneself, where one is looking and in the timeline of everything. */
export function answered(state, text) {
  state.timelines.add(line({ kind: "quiet", text }), ...new Set([everything, state.view]));
}

function setRooms(state, names) {
  state.wanted = names;
  state.rooms = new Map(names.map((name) => [name, state.rooms.get(name) ?? { unread: 0 }]));
  if (state.view !== everything && !state.rooms.has(state.view)) state.view = everything;
}
