import type { Message, Receipt, RoomName } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import type { Remembered } from "./dedup.ts";
import type { Envelope } from "./envelope.ts";
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

/**
 * Orders and stores the messages of each room of a namespace. A message reaches the members of a room only through
 * the broker. A broker in memory answers synchronously; one that asks another process returns promises.
 */
export interface Broker {
  /** Logs a message and delivers it, in all rooms or in none. */
  publish(publication: Publication): Receipt | Promise<Receipt>;
  /**
   * Delivers a message to the members of a room without logging it.
   *
   * @param except a member that does not receive it
   */
  announce(room: RoomName, message: Message, except?: Connection): void | Promise<void>;
  /** The receipt of a message that was published with this key; undefined if there was none. */
  published(dedupKey: string): Remembered | undefined | Promise<Remembered | undefined>;
  /** The place of the newest message of a room. */
  head(room: RoomName): Position | Promise<Position>;
  /** Reads messages to replay, oldest first, up to `maxBytes` of them but at least one. */
  read(room: RoomName, start: Start, maxBytes: number): Page | Promise<Page>;
  /** Reads messages backwards from a position, or from the head. */
  history(
    room: RoomName,
    before: Position | undefined,
    limit: number,
    maxBytes: number,
  ): HistoryPage | Promise<HistoryPage>;
  /** Called when the room gets its first member on this node, which must receive its messages from now on. */
  subscribe(room: RoomName): void | Promise<void>;
  /** Called when the room loses its last member on this node. A failure is the broker's to handle. */
  unsubscribe(room: RoomName): void;
}

/** The receiver of a broker's messages. */
export interface BrokerListener {
  /**
   * Delivers a message to the members of a room.
   *
   * @param except a member that does not receive it
   * @returns the number of members that it is for
   */
  received(room: RoomName, message: Envelope, except?: Connection): number;
}
