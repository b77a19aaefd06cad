import { ClientError } from "../errors.ts";
import type { Message, NamespaceName, RoomName } from "../protocol.ts";
import { type Broker, type BrokerListener, MemoryBroker } from "./broker.ts";
import type { Connection } from "./connection.ts";
import { Hub } from "./hub.ts";
import { messageId } from "./message-id.ts";

/** The parts of a {@link Message} that {@link Rooms.compose} does not fill in. */
export interface Draft {
  text: string;
  state: Message["state"];
  rooms: readonly RoomName[];
}

/** The options of {@link Rooms}. */
export interface RoomsOptions {
  /** The number of rooms one connection may be in. */
  maxRooms: number;
  /** Creates the broker of a namespace. @defaultValue a broker in memory */
  broker?: (namespace: NamespaceName, listener: BrokerListener) => Broker;
}

/** The rooms of one namespace: membership, its limits, and publishing. */
export class Rooms {
  readonly hub = new Hub();
  readonly #namespace: NamespaceName;
  readonly #maxRooms: number;
  readonly #broker: Broker;

  constructor(namespace: NamespaceName, { maxRooms, broker }: RoomsOptions) {
    this.#namespace = namespace;
    this.#maxRooms = maxRooms;
    this.#broker = broker?.(namespace, this.hub) ?? new MemoryBroker(this.hub);
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
    this.hub.join(connection, room);
    const subscribed = this.#broker.subscribe(room);
    return subscribed ? subscribed.then(() => true) : true;
  }

  /**
   * Removes a connection from a room.
   *
   * @throws {ClientError} `not_in_room`
   */
  leave(connection: Connection, room: RoomName): void {
    this.mustBeIn(connection, room);
    if (this.hub.leave(connection, room)) void this.#broker.unsubscribe(room);
  }

  /** Removes a connection from all its rooms and from the hub. @returns the rooms it was in */
  remove(connection: Connection): readonly RoomName[] {
    const left = this.hub.remove(connection);
    for (const room of left) if (this.hub.size(room) === 0) void this.#broker.unsubscribe(room);
    return left;
  }

  /** @throws {ClientError} `too_many_rooms` if `count` is more rooms than one connection may be in */
  mustHold(count: number): void {
    if (count <= this.#maxRooms) return;
    throw new ClientError("too_many_rooms", `One connection may be in at most ${this.#maxRooms} rooms.`);
  }

  /** @throws {ClientError} `not_in_room` */
  mustBeIn(connection: Connection, room: RoomName): void {
    if (!connection.rooms.includes(room)) throw new ClientError("not_in_room");
  }

  /** Creates a message of the connection's user; its `room` is null until it is published. */
  compose({ userId }: Connection, { text, state, rooms }: Draft): Message {
    const at = Date.now();
    const namespace = this.#namespace;
    return { id: messageId(at), userId, text, state, namespace, room: null, rooms: [...rooms], at };
  }

  /**
   * Publishes a copy of a message to each of the rooms.
   *
   * @param except a member that receives no copy
   * @returns the number of copies delivered
   */
  publish(
    message: Message,
    to: readonly RoomName[] = message.rooms,
    except?: Connection,
  ): number | Promise<number> {
    let recipients = 0;
    const pending: Promise<number>[] = [];
    for (const room of to) {
      const published = this.#broker.publish(room, { ...message, room }, except);
      if (published instanceof Promise) pending.push(published.then((done) => done.recipients));
      else recipients += published.recipients;
    }
    if (pending.length === 0) return recipients;
    return Promise.all(pending).then((counts) => counts.reduce((sum, count) => sum + count, recipients));
  }

  /** Delivers a copy of a room's message that is made for one member, which {@link publish} left out. */
  deliver(member: Connection, message: Message): void {
    member.send("res", message);
    this.hub.delivered++;
  }
}
