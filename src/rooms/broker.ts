import type { Message, Receipt, RoomName, UserId } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import type { Remembered } from "./dedup.ts";
import type { HistoryPage, Page, Start } from "./log.ts";
import type { Position } from "./position.ts";

/** A message to the rooms that it lists. */
export interface Publication {
  /** The message; each room's copy gets its own `room` and `offset`. */
  readonly message: Message;
  /** A transient message is not logged. */
  readonly isTransient?: boolean;
  /** If defined, and published before, nothing is published. */
  readonly dedupKey?: string | undefined;
}

/** A connection's way into a room or out of it. */
export interface Move {
  readonly room: RoomName;
  /** Announces it to the members of the room, without being logged; undefined if nobody is told. */
  readonly announcement: Message | undefined;
}

/** A connection's way into a room. */
export interface Entrance extends Move {
  /** Called when the connection has become a member, before any later event of the room reaches it. */
  entered(): void;
  /** Whether the announcement is for the other members only. */
  readonly isForOthers: boolean;
}

/**
 * Orders and stores the messages of each room of a namespace, and the changes of its membership. Both reach the hub
 * only through the broker. A broker in memory answers synchronously; one that asks another process returns promises,
 * which are rejected with the {@link ClientError} `unavailable` if that process does not answer.
 */
export interface Broker {
  /** Whether other nodes may have members of the same rooms. */
  readonly isShared: boolean;
  /** Logs a message and delivers it, in all rooms or in none. */
  publish(publication: Publication): Receipt | Promise<Receipt>;
  /** The receipt of a message that was published with this key; undefined if there was none. */
  published(dedupKey: string): Remembered | undefined | Promise<Remembered | undefined>;
  /** Makes a connection a member of rooms, of all or of none. From then on, `tell` and `whisper` reach it too. */
  enter(connection: Connection, entrances: readonly Entrance[]): void | Promise<void>;
  /** Removes a member from a room. */
  leave(connection: Connection, move: Move): void | Promise<void>;
  /**
   * Removes a connection that has ended, and is no longer in the hub, from the rooms it was in. It does not fail: what
   * cannot be done now is done later, and not waited for.
   *
   * @param isLost whether its client may come back within the grace period
   */
  remove(connection: Connection, moves: readonly Move[], isLost: boolean): void | Promise<void>;
  /** The number of connections in a room of which this node has, or just had, a member. */
  size(room: RoomName): number;
  /** The last message that was delivered to the members of a room on this node. */
  head(room: RoomName): Position;
  /** Reads messages to replay, oldest first, up to `maxBytes` of them but at least one. */
  read(room: RoomName, start: Start, maxBytes: number): Page | Promise<Page>;
  /** Reads messages backwards from a position, or from the head. */
  history(
    room: RoomName,
    before: Position | undefined,
    limit: number,
    maxBytes: number,
  ): HistoryPage | Promise<HistoryPage>;
  /** Delivers a message to all connections of a user. @returns their number */
  tell(message: Message & { to: UserId }): number | Promise<number>;
  /** Delivers a message to one connection. @returns how many it reached */
  whisper(message: Message & { to: string }): number | Promise<number>;
  /** Whether a connection has this id. */
  isConnected(id: string): boolean | Promise<boolean>;
}
