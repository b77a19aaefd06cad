import type { Message, NamespaceName, RoomName, UserId } from "../protocol.ts";
import { messageId } from "./message-id.ts";

/** The parts of a {@link Message} that {@link compose} does not fill in. */
export type Draft = Pick<Message, "type" | "text" | "data" | "to"> & { rooms: readonly RoomName[] };

/** Creates a message; its `room` and `offset` are null until it is published. */
export function compose(
  namespace: NamespaceName,
  userId: UserId,
  { type, text, data, to, rooms }: Draft,
): Message {
  const at = Date.now();
  const message: Message = {
    id: messageId(at),
    type,
    userId,
    text,
    state: states[type],
    namespace,
    room: null,
    // Never changed: a connection gets a new list for each change.
    rooms: rooms as RoomName[],
    at,
    offset: null,
  };
  if (data !== undefined) message.data = data;
  if (to !== undefined) message.to = to;
  return message;
}

const states: Record<Message["type"], Message["state"]> = {
  chat: "normal",
  publish: "normal",
  tell: "normal",
  whisper: "normal",
  msg: "normal",
  join: "state",
  leave: "state",
  bye: "state",
  connected: "notice",
  disconnected: "notice",
};
