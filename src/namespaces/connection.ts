import type { Message, RoomName, ServerEvents, UserId } from "../protocol.ts";
import type { Member } from "../rooms/rooms.ts";
import type { Grant } from "./grant.ts";

/** What is remembered of a connection. */
export interface ConnectionData {
  /** What others and the log know the connection by. */
  readonly id: string;
  readonly userId: UserId;
  /** The rooms it is in. */
  rooms: readonly RoomName[];
  /** The rooms its handshake asked for, joined when it is welcomed. */
  readonly asked: readonly RoomName[];
  /** The last message it sent with `chat` or `msg`. */
  context: Message | null;
  /** What its token allows; null where none is asked for. */
  grant: Grant | null;
  /** The `auth` that was sent last, until it is answered. */
  lastAuth?: Promise<unknown> | undefined;
  /** Tells it that the token has expired, or ends it when that was some time ago. */
  expiry?: NodeJS.Timeout;
  /** How many events it has sent. */
  heard: number;
  /** Why it is over, once it is; what it still sends is refused. */
  closing: string | null;
}

/** A client on a namespace. A Socket.IO `Socket` is one as it stands. */
export interface Connection extends Member {
  readonly data: ConnectionData;
  /** Sends to this connection alone. */
  emit<Event extends keyof ServerEvents>(event: Event, ...args: Parameters<ServerEvents[Event]>): unknown;
  /** Ends it on this namespace; clients do not come back from this by themselves. */
  disconnect(): unknown;
}
