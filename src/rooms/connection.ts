import type { DisconnectReason } from "../errors.ts";
import type { Message, RoomName, ServerEvents, UserId } from "../protocol.ts";
import type { Envelope } from "./envelope.ts";

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
  /** Sends a message to this connection alone, as an event that is named by the id it knows itself by. */
  whisper(message: Message): void;
  /**
   * Returns a promise if the client has much left to read, which resolves when it has read most of that or is gone.
   * A sender that can wait, such as a replay, should.
   */
  whenReady(): Promise<void> | undefined;
  /** Ends the connection; the table of disconnect reasons says how, and whether clients reconnect. */
  close(reason: DisconnectReason): void;
}

/** Connects the clients of one protocol, such as Socket.IO, to the hub, and delivers events to them. */
export interface Gateway {
  /**
   * Queues an event for each member, encoded once for all of them. Never blocks or throws.
   *
   * @param members connections of this gateway; the array must not be kept or changed
   */
  deliver(members: readonly Connection[], event: Envelope): void;
}

/** Delivers an event to connections of any gateways. */
export function deliver(connections: Iterable<Connection>, event: Envelope): void {
  const groups = new Map<Gateway, Connection[]>();
  for (const connection of connections) {
    const group = groups.get(connection.gateway);
    if (group) group.push(connection);
    else groups.set(connection.gateway, [connection]);
  }
  for (const [gateway, members] of groups) gateway.deliver(members, event);
}

/** The empty list that all connections without rooms share. */
export const noRooms: readonly RoomName[] = [];
