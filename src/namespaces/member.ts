import type { Permissions } from "../auth/permissions.ts";
import type { DisconnectReason } from "../errors.ts";
import type { Bucket } from "../limits/rate-limiter.ts";
import type { Message, RoomName, ServerEvents, UserId } from "../protocol.ts";
import { type Connection, type Gateway, noRooms } from "../rooms/connection.ts";
import type { PendingSteps } from "./pending-steps.ts";

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
  /** Reads no further event until a step is done. A gateway without backpressure leaves it out. */
  waitFor?(step: Promise<unknown>): void;
  /**
   * Returns a promise if the client has much left to read, which resolves when it has read most of that or is gone.
   * A gateway without backpressure leaves it out.
   */
  whenReady?(): Promise<void> | undefined;
  /** Ends the connection on every namespace. */
  close(reason: DisconnectReason): void;
}

/** What a handshake asks to be replayed. */
export interface HandshakeReplay {
  /** The offset after which the messages of a room are replayed. */
  readonly since: ReadonlyMap<RoomName, string>;
  /** The number of messages to replay in all other rooms; undefined replays none. */
  readonly last: number | undefined;
}

/** The result of an accepted handshake. */
export interface AcceptedHandshake {
  readonly id: string;
  readonly userId: UserId;
  /** The rooms to join on connecting. */
  readonly rooms: readonly RoomName[];
  /** What to replay in each of them; undefined if the client did not ask for a replay. */
  readonly replay: HandshakeReplay | undefined;
  /** The permissions of its token; null if no tokens are required. */
  readonly permissions: Permissions | null;
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
  /** The requests that are being handled and those that wait for them; undefined while there are none. */
  pending: PendingSteps | undefined;
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
  abstract whisper(message: Message): void;
  abstract close(reason: DisconnectReason): void;

  whenReady(): Promise<void> | undefined {
    return this.session.whenReady?.();
  }
}
