import { ClientError } from "../errors.ts";
import type { History, Message, NamespaceName, Receipt, RoomName, Verdict } from "../protocol.ts";
import type { Broker, BrokerListener, Publication } from "./broker.ts";
import { type Connection, deliver } from "./connection.ts";
import { UnloggedEvent } from "./envelope.ts";
import { Hub } from "./hub.ts";
import type { Start } from "./log.ts";
import { after } from "./maybe-promise.ts";
import { messageId } from "./message-id.ts";
import { offsetOf, type Position } from "./position.ts";
import { Presence } from "./presence.ts";
import { Replay } from "./replay.ts";

/** The parts of a {@link Message} that {@link Rooms.compose} does not fill in. */
export type Draft = Pick<Message, "type" | "text" | "data" | "to"> & { rooms: readonly RoomName[] };

/** The options of {@link Rooms}. */
export interface RoomsOptions {
  /** The number of rooms one connection may be in. */
  maxRooms: number;
  /** How long a user whose last connection was lost counts as present, in milliseconds. */
  presenceGraceMs: number;
  /** Bytes of messages after which a replay waits for its reader. */
  replayPageBytes: number;
  /** Bytes of messages in one answer to `history`. */
  historyPageBytes: number;
  /** Creates the broker of the namespace. */
  broker(listener: BrokerListener): Broker;
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
    this.#broker = options.broker(this.hub);
    this.presence = new Presence(options.presenceGraceMs);
  }

  close(): void {
    this.presence.close();
  }

  /**
   * Adds a connection to a room.
   *
   * @returns false if it was a member already
   * @throws {ClientError} `too_many_rooms`
   */
  join(connection: Connection, room: RoomName): boolean | Promise<boolean> {
    const { rooms } = connection;
    if (rooms.includes(room)) return false;
    this.mustHold(rooms.length + 1);
    const isFirst = this.hub.join(connection, room);
    const subscribed = isFirst ? this.#broker.subscribe(room) : undefined;
    if (!subscribed) {
      this.presence.entered(room, connection);
      return true;
    }
    return subscribed.then(
      () => {
        if (!connection.rooms.includes(room)) throw new ClientError("closing");
        this.presence.entered(room, connection);
        return true;
      },
      (error) => {
        if (connection.rooms.includes(room)) this.hub.leave(connection, room);
        throw error;
      },
    );
  }

  /**
   * Removes a connection from a room.
   *
   * @throws {ClientError} `not_in_room`
   */
  leave(connection: Connection, room: RoomName): void {
    this.mustBeIn(connection, room);
    const isLast = this.hub.leave(connection, room);
    this.presence.left(room, connection, false);
    if (isLast) this.#broker.unsubscribe(room);
  }

  /**
   * Removes a connection from all its rooms and from the hub.
   *
   * @param isLost whether its client may come back within the grace period
   * @returns the rooms it was in
   */
  remove(connection: Connection, isLost: boolean): readonly RoomName[] {
    const left = this.hub.remove(connection);
    for (const room of left) {
      this.presence.left(room, connection, isLost);
      if (this.hub.size(room) === 0) this.#broker.unsubscribe(room);
    }
    return left;
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
  compose({ userId }: Connection, { type, text, data, to, rooms }: Draft): Message {
    const at = Date.now();
    const message: Message = {
      id: messageId(at),
      type,
      userId,
      text,
      state: states[type],
      namespace: this.#namespace,
      room: null,
      // Never changed: a connection gets a new list for each change.
      rooms: rooms as RoomName[],
      at,
      offset: null,
    };
    if (data !== undefined) message.data = data;
    if (to !== undefined) message.to = to;
    return message;
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

  /**
   * Delivers a message to the members of a room without logging it.
   *
   * @param except a member that does not receive it
   */
  announce(room: RoomName, message: Message, except?: Connection): void | Promise<void> {
    return this.#broker.announce(room, message, except);
  }

  /** Delivers a copy of a room's message that is made for one member, which {@link announce} left out. */
  deliver(member: Connection, message: Message): void {
    member.send("res", message);
    this.hub.delivered++;
  }

  /** Delivers a message to all connections of a user. @returns their number */
  tell(message: Message & { to: string }): number {
    const connections = this.hub.ofUser(message.to);
    deliver(connections, new UnloggedEvent("res", message));
    this.hub.delivered += connections.length;
    return connections.length;
  }

  /** Delivers a message to one connection, as an event that only this connection knows. @returns how many it reached */
  whisper(message: Message & { to: string }): number {
    const connection = this.hub.get(message.to);
    if (!connection) return 0;
    connection.whisper(message);
    this.hub.delivered++;
    return 1;
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

const states: Record<Message["type"], Message["state"]> = {
  chat: "normal",
  publish: "normal",
  tell: "normal",
  whisper: "normal",
  msg: "normal",
  join: "state",
  leave: "state",
  bye: "state",
  connected: "notice",
  disconnected: "notice",
};
