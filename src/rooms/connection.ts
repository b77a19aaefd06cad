import type { DisconnectReason } from "../errors.ts";
import type { Message, RoomName, ServerEvents, UserId } from "../protocol.ts";

/** One client on one namespace, whichever gateway it came through. */
export interface Connection {
  /** Unique in its namespace, and public: other clients may see it. */
  readonly id: string;
  readonly userId: UserId;
  /** `websocket` or `polling` for Socket.IO; other gateways have other names. */
  readonly transport: string;
  /** The version of the transport's protocol. */
  readonly protocol: number;
  /** Delivers the messages of its rooms to it. */
  readonly gateway: Gateway;
  /** The rooms it is in, oldest first. Only the hub assigns it, a new array for every change. */
  rooms: readonly RoomName[];
  /** Sends an event to this connection alone, in order with the messages of its rooms. */
  send<Event extends keyof ServerEvents>(event: Event, ...args: Parameters<ServerEvents[Event]>): void;
  /** Ends the connection; the table of disconnect reasons says how, and whether clients reconnect. */
  close(reason: DisconnectReason): void;
}

/** A way in: Socket.IO, or another protocol. It brings connections to the hub and delivers messages to them. */
export interface Gateway {
  /**
   * Queues `message` as the event `res` for each member, encoded once for all of them. Never blocks or throws.
   *
   * @param members connections that this gateway brought; not to be kept or changed
   */
  deliver(members: readonly Connection[], message: Message): void;
}

/** The rooms of a connection that is in none, shared by all of them. */
export const noRooms: readonly RoomName[] = [];
