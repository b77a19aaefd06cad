import { asLine, receivedDirect } from "./incoming.js";
import { answered, removeRoom, setRooms } from "./state.js";
import { roomView } from "./views.js";
import { moment } from "./words.js";

/*
 * How the acks of the client's own events change the state.
 */

const reactions = {
  join: (state, _args, ack) => {
    moved(state, ack);
    state.rooms.get(ack.room)?.replayed(ack);
  },
  leave: (state, _args, ack) => moved(state, ack),
  msg: (state, _args, ack) => answered(state, [ack]),
  auth: (state, [token], ack) => authorized(state, token, ack),
  watch: (state, _args, ack) => state.rooms.get(ack.room)?.members.reset(ack),
  who: (state, _args, ack) => state.rooms.get(ack.room)?.members.reset(ack),
  history: (state, [room], ack) => pageArrived(state, room, ack),
  tell: (state, [to, text], { id, recipients }) => {
    // What one tells oneself arrives as a message.
    if (recipients === 0 || to === state.userId) return;
    receivedDirect(state, { id, type: "tell", userId: state.userId, to, text, at: Date.now() });
  },
};

/** Applies the ack of an event that succeeded. */
export function acked(state, event, args, ack) {
  reactions[event]?.(state, args, ack);
}

/** The ack of `join` or `leave` lists the rooms of the connection. */
function moved(state, { room, rooms }) {
  if (state.rooms.has(room) && !rooms.includes(room)) removeRoom(state, room);
  setRooms(state, rooms);
}

/** The server has accepted a new token, which may allow fewer rooms. */
function authorized(state, token, { expiresAt, rooms }) {
  Object.assign(state, { token, expired: false, complaint: "" });
  for (const room of [...state.rooms.keys()]) if (!rooms.includes(room)) removeRoom(state, room);
  const until = expiresAt === null ? "does not expire" : `is valid until ${moment(expiresAt)}`;
  answered(state, [`The new token ${until}`]);
}

/** A page of older messages arrived. */
function pageArrived(state, name, { messages, more }) {
  const room = state.rooms.get(name);
  if (!room) return;
  room.more = more;
  state.timelines.prepend(
    roomView(name),
    messages.map((message) => asLine(state, message)),
  );
}
