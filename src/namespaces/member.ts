import type { Permissions } from "../auth/permissions.ts";
import type { DisconnectReason } from "../errors.ts";
import type { Bucket } from "../limits/rate-limiter.ts";
import type { Message, RoomName, ServerEvents, UserId } from "../protocol.ts";
import { type Connection, type Gateway, noRooms } from "../rooms/connection.ts";

/** A client's connection to a gateway. If the protocol has namespaces, it may be on several at once. */
export interface ClientSession {
  /** The address under which the limits per address count it. */
  readonly address: string;
  /** The rate limit of all its events together; undefined until the first event. */
  bucket: Bucket | undefined;
  /** The permissions of its newest token, on any namespace. */
  permissions?: Permissions;
  /** The number of handshakes with namespaces so far. */
  handshakes: number;
  /** Reads no further event until a step is done, which never rejects. A gateway without backpressure leaves it out. */
  waitFor?(step: Promise<unknown>): void;
  /** Ends the connection on every namespace. */
  close(reason: DisconnectReason): void;
}

/** The result of an accepted handshake. */
export interface AcceptedHandshake {
  readonly id: string;
  readonly userId: UserId;
  /** The rooms to join on connecting. */
  readonly rooms: readonly RoomName[];
  /** The permissions of its token; null if no tokens are required. */
  readonly permissions: Permissions | null;
}

/** An event as a gateway received it, not yet validated. */
export interface Request {
  event: unknown;
  args: readonly unknown[];
  /** Undefined if the client does not ask for an ack. */
  ack: ((reply: unknown) => void) | undefined;
}

/** A client on a namespace, with all its state. Each gateway adds how to send to it and how to close it. */
export abstract class Member implements Connection {
  abstract readonly gateway: Gateway;
  abstract readonly transport: string;
  abstract readonly protocol: number;
  readonly id: string;
  readonly userId: UserId;
  readonly session: ClientSession;
  rooms: readonly RoomName[] = noRooms;
  permissions: Permissions | null;
  /** The last message it sent with `chat` or `msg`. */
  context: Message | null = null;
  /** The number of events it has sent. */
  events = 0;
  /** The reason why it is closing; null while it is not. Further events are refused. */
  closing: string | null = null;
  /** The requests that wait for the one being handled; undefined while none is being handled. */
  queue: Request[] | undefined;
  /** Fires when its token expires, and again when the grace period is over. */
  expiry: NodeJS.Timeout | undefined;

  constructor(session: ClientSession, { id, userId, permissions }: AcceptedHandshake) {
    this.session = session;
    this.id = id;
    this.userId = userId;
    this.permissions = permissions;
  }

  abstract send<Event extends keyof ServerEvents>(
    event: Event,
    ...args: Parameters<ServerEvents[Event]>
  ): void;
  abstract close(reason: DisconnectReason): void;
}
