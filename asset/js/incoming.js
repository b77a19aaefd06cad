import { openConversation, remark, setRooms, show } from "./state.js";
import { line } from "./timelines.js";
import { everything, roomView, userView } from "./views.js";
import { sentence, verdict as sentenceOf } from "./words.js";

/*
 * How the events of the server change the state.
 */

/** The transport is open; with several nodes, the server says which one it is. */
export function opened(state, { node = "" }) {
  if (node && state.node && node !== state.node) remark(state, ["Now on node ", { name: node }]);
  state.node = node;
}

/** The server greets the connection. */
export function welcomed(state, message) {
  const { entry, rooms: before, arriving } = state;
  // A new token may belong to another user.
  const back = state.userId === message.userId;
  state.userId = message.userId;
  state.arriving = false;
  state.returning = new Set(message.rooms.filter((room) => before.has(room)));
  setRooms(state, message.rooms);
  if (state.sent.length === 0) state.began = message.rooms;
  if (arriving && state.rooms.has(entry.room)) show(state, roomView(entry.room));
  startRecovery(state);
  if (!back || !state.recovery) remark(state, back ? ["Back"] : sentence(message));
}

/** Notes where the timelines end, so that the verdicts of the replays find their place. */
function startRecovery(state) {
  const pending = new Set();
  for (const [name, room] of state.rooms) {
    room.fresh = room.cursor === undefined;
    room.lostAfter = state.timelines.of(roomView(name)).at(-1)?.key;
    if (!room.fresh) pending.add(name);
  }
  const lostAfter = state.timelines.of(everything).at(-1)?.key;
  state.recovery = pending.size > 0 ? { pending, missed: 0, lost: false, lostAfter } : undefined;
}

/** A message came through a room. */
export function received(state, message) {
  const { type, userId, room: name, offset } = message;
  const own = userId === state.userId;
  const room = state.rooms.get(name);
  if (offset === null && type !== "publish") return moved(state, message, room, own);
  // Messages of a room that is not in the list yet are replayed before the ack of `join`.
  const replayed = room?.fresh ?? true;
  if (room && offset) room.cursor = offset;
  const seen = state.view === roomView(name) || state.view === everything;
  if (room && !own && !seen && !replayed) room.unread++;
  state.timelines.addMessage(asLine(state, message), replayed && offset !== null);
}

/** A message of a room as a line of the timeline. */
export function asLine(state, message) {
  const { id, userId, room, at, offset, data } = message;
  const own = userId === state.userId;
  const mark = offset === null ? "transient" : undefined;
  const text = sentence(message);
  return line({ id, offset, kind: "said", own, userId, text, data, at, mark, rooms: [room] });
}

/** A connection joined a room or went away. Only this window's own join is a line: `presence` tells the rest. */
function moved(state, message, room, own) {
  const { id, type, userId, room: name, at } = message;
  const isWatched = room?.members.total !== undefined;
  room?.members.count(userId, type === "join" ? 1 : -1);
  if (!own || type !== "join" || state.returning.delete(name) || isWatched) return;
  state.timelines.addMessage(line({ id, kind: "quiet", text: sentence(message), at, rooms: [name] }));
}

/** A user came into a watched room, or the last connection of that user has left it. */
export function presence(state, { room: name, userId, online, total }) {
  const room = state.rooms.get(name);
  room?.members.changed({ userId, online, total });
  if (!room || userId === state.userId) return;
  const text = [{ name: userId }, online ? " is online" : " is offline"];
  const topic = `${userId} ${online}`;
  state.timelines.addMessage(line({ kind: "quiet", text, topic, rooms: [name] }));
}

/** A message came for this user or this connection alone. */
export function receivedDirect(state, { id, type, userId, to, text, at }) {
  const own = userId === state.userId;
  const other = own ? to : userId;
  const conversation = openConversation(state, other);
  const seen = state.view === userView(other) || state.view === everything;
  if (!own && !seen) conversation.unread++;
  const mark = type === "whisper" ? "whisper" : "direct";
  const said = line({ id, kind: "said", own, userId, text: [text], at, mark, rooms: [] });
  state.timelines.add(said, userView(other), everything);
}

/**
 * The server has replayed a room's messages after a handshake, and says whether they are complete; or it has lost
 * messages of a connected client.
 */
export function synced(state, verdict) {
  const room = state.rooms.get(verdict.room);
  if (!room) return;
  room.replayed(verdict);
  if (verdict.status === "new") return;
  const lost = verdict.status === "gap";
  if (lost && !state.recovery?.pending.has(verdict.room)) {
    const said = line({ kind: "quiet", text: sentenceOf({ lost, missed: 0 }), rooms: [verdict.room] });
    state.timelines.addMessage(said);
    return;
  }
  conclude(state, roomView(verdict.room), { lost, missed: verdict.missed, lostAfter: room.lostAfter });
  concludeAll(state, verdict, lost);
}

/** "Everything" shows one line for all rooms together, after the last of them. */
function concludeAll(state, { room, missed }, lost) {
  const { recovery } = state;
  if (!recovery?.pending.delete(room)) return;
  recovery.missed += missed;
  recovery.lost ||= lost;
  if (recovery.pending.size > 0) return;
  conclude(state, everything, recovery);
  state.recovery = undefined;
}

/** Adds the verdict to a timeline: after what was replayed, or at the gap where messages are lost. */
function conclude({ timelines }, view, { lost, missed, lostAfter }) {
  const said = line({ kind: "quiet", text: sentenceOf({ lost, missed }) });
  if (lost) timelines.insertAfter(view, lostAfter, said);
  else timelines.add(said, view);
}
