import { ClientError } from "../errors.ts";
import type { History, Message, NamespaceName, Receipt, RoomName, UserId, Verdict } from "../protocol.ts";
import type { Broker, Entrance, Move, Publication } from "./broker.ts";
import { compose, type Draft } from "./compose.ts";
import type { Connection } from "./connection.ts";
import { Hub } from "./hub.ts";
import type { Start } from "./log.ts";
import { after } from "./maybe-promise.ts";
import { offsetOf, type Position } from "./position.ts";
import type { Presence } from "./presence.ts";
import { Replay } from "./replay.ts";

/** The options of {@link Rooms}. */
export interface RoomsOptions {
  /** The number of rooms one connection may be in. */
  maxRooms: number;
  /** Bytes of messages after which a replay waits for its reader. */
  replayPageBytes: number;
  /** Bytes of messages in one answer to `history`. */
  historyPageBytes: number;
  /** Creates the broker and the presence of the namespace. */
  store(namespace: NamespaceName, hub: Hub): RoomStore;
}

/** The state of a namespace's rooms, which nodes may share. */
export interface RoomStore {
  readonly broker: Broker;
  readonly presence: Presence;
}

/** Counts for the metrics. */
export interface RoomCounts {
  /** Repeated requests that were not sent again. */
  duplicates: number;
  /** Replays by verdict; those that a client asks for with `last` have the verdict `new`. */
  replays: Record<Verdict["status"], number>;
  /** Messages that were replayed. */
  replayed: number;
}

/** The rooms of one namespace: membership and its limits, messages, replays and presence. */
export class Rooms {
  readonly hub = new Hub();
  readonly presence: Presence;
  readonly counts: RoomCounts = {
    duplicates: 0,
    replays: { new: 0, complete: 0, gap: 0 },
    replayed: 0,
  };
  readonly #namespace: NamespaceName;
  readonly #options: RoomsOptions;
  readonly #broker: Broker;

  constructor(namespace: NamespaceName, options: RoomsOptions) {
    this.#namespace = namespace;
    this.#options = options;
    const { broker, presence } = options.store(namespace, this.hub);
    this.#broker = broker;
    this.presence = presence;
  }

  close(): void {
    this.presence.close();
  }

  /**
   * Makes a connection a member of rooms, of all or of none.
   *
   * @throws {ClientError} `too_many_rooms`
   */
  enter(connection: Connection, entrances: readonly Entrance[]): void | Promise<void> {
    this.mustHold(connection.rooms.length + entrances.length);
    return this.#broker.enter(connection, entrances);
  }

  /**
   * Removes a connection from a room.
   *
   * @throws {ClientError} `not_in_room`
   */
  leave(connection: Connection, move: Move): void | Promise<void> {
    this.mustBeIn(connection, move.room);
    return this.#broker.leave(connection, move);
  }

  /**
   * Removes a connection that has ended from all its rooms and from the hub.
   *
   * @param isLost whether its client may come back within the grace period
   * @param announcement creates the message that announces it to a room; returns undefined if nobody is told
   */
  remove(
    connection: Connection,
    isLost: boolean,
    announcement: (room: RoomName) => Message | undefined,
  ): void | Promise<void> {
    if (!this.hub.get(connection.id)) return;
    const moves = this.hub.remove(connection).map((room) => ({ room, announcement: announcement(room) }));
    return this.#broker.remove(connection, moves, isLost);
  }

  /** Whether other nodes may have members of the same rooms. */
  get isShared(): boolean {
    return this.#broker.isShared;
  }

  /** The number of connections in a room. */
  size(room: RoomName): number {
    return this.#broker.size(room);
  }

  /** @throws {ClientError} `too_many_rooms` if `count` is more rooms than one connection may be in */
  mustHold(count: number): void {
    const { maxRooms } = this.#options;
    if (count <= maxRooms) return;
    throw new ClientError("too_many_rooms", `One connection may be in at most ${maxRooms} rooms.`);
  }

  /** @throws {ClientError} `not_in_room` */
  mustBeIn(connection: Connection, room: RoomName): void {
    if (!connection.rooms.includes(room)) throw new ClientError("not_in_room");
  }

  /** Creates a message of the connection's user; its `room` and `offset` are null until it is published. */
  compose({ userId }: Connection, draft: Draft): Message {
    return compose(this.#namespace, userId, draft);
  }

  /** Logs a message, unless it is transient, and delivers it to the members of its rooms. */
  publish(publication: Publication): Receipt | Promise<Receipt> {
    const receipt = this.#broker.publish(publication);
    return publication.dedupKey === undefined
      ? receipt
      : after(receipt, (given) => this.#countDuplicate(given));
  }

  #countDuplicate(receipt: Receipt): Receipt {
    if (receipt.duplicate) this.counts.duplicates++;
    return receipt;
  }

  /** The receipt of a message that was published with this key, as a repeated request receives it. */
  duplicate(dedupKey: string): Receipt | undefined | Promise<Receipt | undefined> {
    return after(this.#broker.published(dedupKey), (known) => {
      if (!known) return undefined;
      this.counts.duplicates++;
      return { ...known, recipients: 0, duplicate: true };
    });
  }

  /** Delivers a copy of a room's message that is made for one member. */
  deliver(member: Connection, message: Message): void {
    member.send("res", message);
    this.hub.delivered++;
  }

  /** Delivers a message to all connections of a user. @returns their number */
  tell(message: Message & { to: UserId }): number | Promise<number> {
    return this.#broker.tell(message);
  }

  /** Delivers a message to one connection, as an event that only this connection knows. @returns how many it reached */
  whisper(message: Message & { to: string }): number | Promise<number> {
    return this.#broker.whisper(message);
  }

  /** Whether a connection has this id. */
  isConnected(id: string): boolean | Promise<boolean> {
    return this.#broker.isConnected(id);
  }

  /** Starts to replay what a member has missed. */
  replay(member: Connection): Replay {
    const { replayPageBytes } = this.#options;
    return new Replay(member, { broker: this.#broker, hub: this.hub, pageBytes: replayPageBytes });
  }

  /** Replays the messages of one room. @param start undefined to replay nothing */
  replayRoom(replay: Replay, room: RoomName, start: Start | undefined): Verdict | Promise<Verdict> {
    return after(replay.room(room, start), (verdict) => {
      if (start) this.counts.replays[verdict.status]++;
      this.counts.replayed += verdict.missed;
      return verdict;
    });
  }

  /** Reads messages backwards from a position, or from the head, a bounded number of bytes at a time. */
  history(room: RoomName, before: Position | undefined, limit: number): History | Promise<History> {
    const page = this.#broker.history(room, before, limit, this.#options.historyPageBytes);
    return after(page, ({ messages, more, head }) => ({ room, messages, more, offset: offsetOf(head) }));
  }
}
