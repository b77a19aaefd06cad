import type { DisconnectReason } from "../errors.ts";
import type { Message, RoomName, ServerEvents, UserId } from "../protocol.ts";

/** One client on one namespace, through any gateway. */
export interface Connection {
  /** Unique in its namespace, and public: other clients may see it. */
  readonly id: string;
  readonly userId: UserId;
  /** `websocket` or `polling` for Socket.IO; other gateways have other names. */
  readonly transport: string;
  /** The version of the transport's protocol; for Socket.IO, that of Engine.IO. */
  readonly protocol: number;
  /** The gateway that delivers the messages of its rooms. */
  readonly gateway: Gateway;
  /** The rooms it is in, oldest first. Only the hub assigns this, as a new array for every change. */
  rooms: readonly RoomName[];
  /** Sends an event to this connection alone, in order with the messages of its rooms. */
  send<Event extends keyof ServerEvents>(event: Event, ...args: Parameters<ServerEvents[Event]>): void;
  /** Ends the connection; the table of disconnect reasons says how, and whether clients reconnect. */
  close(reason: DisconnectReason): void;
}

/** Connects the clients of one protocol, such as Socket.IO, to the hub, and delivers messages to them. */
export interface Gateway {
  /**
   * Queues `message` as the event `res` for each member, encoded once for all of them. Never blocks or
   * throws.
   *
   * @param members connections of this gateway; the array must not be kept or changed
   */
  deliver(members: readonly Connection[], message: Message): void;
}

/** The empty list that all connections without rooms share. */
export const noRooms: readonly RoomName[] = [];
