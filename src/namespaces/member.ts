import type { Permissions } from "../auth/permissions.ts";
import type { DisconnectReason } from "../errors.ts";
import type { Bucket } from "../limits/rate-limiter.ts";
import type { Message, RoomName, ServerEvents, UserId } from "../protocol.ts";
import { type Connection, type Gateway, noRooms } from "../rooms/connection.ts";

/** A client's connection to a gateway. Where the protocol has namespaces, it may be on several at once. */
export interface Session {
  /** The address that limits count it for. */
  readonly address: string;
  /** The rate limit of all its events together; undefined until it has sent one. */
  bucket: Bucket | undefined;
  /** What its newest token allows, on whichever namespace it came. */
  permissions?: Permissions;
  /** The number of handshakes with namespaces. */
  handshakes: number;
  /** Ends the connection on every namespace. */
  close(reason: DisconnectReason): void;
}

/** What a handshake was admitted with. */
export interface Admission {
  readonly id: string;
  readonly userId: UserId;
  /** The rooms to join as soon as it is connected. */
  readonly rooms: readonly RoomName[];
  /** What its token allows; null where none is required. */
  readonly permissions: Permissions | null;
}

/** An event as a gateway received it, unchecked. */
export interface Request {
  event: unknown;
  args: readonly unknown[];
  /** Undefined where the client does not ask for an ack. */
  ack: ((reply: unknown) => void) | undefined;
}

/** A client on a namespace, and all that is remembered of it. Each gateway adds how to reach it. */
export abstract class Member implements Connection {
  abstract readonly gateway: Gateway;
  abstract readonly transport: string;
  abstract readonly protocol: number;
  readonly id: string;
  readonly userId: UserId;
  readonly session: Session;
  rooms: readonly RoomName[] = noRooms;
  permissions: Permissions | null;
  /** The last message it sent with `chat` or `msg`. */
  context: Message | null = null;
  /** The number of events it has sent. */
  events = 0;
  /** Why it ends; whatever it still sends is refused. */
  closing: string | null = null;
  /** The requests behind the one that is being handled; undefined while none is. */
  queue: Request[] | undefined;
  /** Runs when its token expires, and again when its grace period is over. */
  expiry: NodeJS.Timeout | undefined;

  constructor(session: Session, { id, userId, permissions }: Admission) {
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
