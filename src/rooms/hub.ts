import type { RoomName, UserId } from "../protocol.ts";
import type { BrokerListener } from "./broker.ts";
import { type Connection, type Gateway, noRooms } from "./connection.ts";
import type { Envelope } from "./envelope.ts";
import { LogEntry } from "./log.ts";

/**
 * The connections of one namespace on this node, by id, by user and by room. The hub changes membership and
 * delivers the broker's messages; it makes no decisions.
 */
export class Hub implements BrokerListener {
  readonly #connections = new Map<string, Connection>();
  readonly #users = new Map<UserId, Connection | Set<Connection>>();
  readonly #rooms = new Map<RoomName, Members>();
  /** The number of message copies delivered since the start. */
  delivered = 0;

  add(connection: Connection): void {
    this.#connections.set(connection.id, connection);
    const others = this.#users.get(connection.userId);
    if (others === undefined) this.#users.set(connection.userId, connection);
    else if (others instanceof Set) others.add(connection);
    else this.#users.set(connection.userId, new Set([others, connection]));
  }

  /** Removes the connection from its rooms and from the hub. @returns the rooms it was in */
  remove(connection: Connection): readonly RoomName[] {
    if (!this.#connections.delete(connection.id)) return noRooms;
    const { rooms } = connection;
    for (const room of rooms) this.#removeFrom(room, connection);
    connection.rooms = noRooms;
    const others = this.#users.get(connection.userId);
    if (others instanceof Set && others.size > 1) others.delete(connection);
    else this.#users.delete(connection.userId);
    return rooms;
  }

  /** @returns whether it is the room's first member */
  join(connection: Connection, room: RoomName): boolean {
    const known = this.#rooms.get(room);
    const members = known ?? new Members();
    if (!known) this.#rooms.set(room, members);
    members.add(connection);
    connection.rooms = [...connection.rooms, room];
    return !known;
  }

  /** @returns whether it was the room's last member */
  leave(connection: Connection, room: RoomName): boolean {
    connection.rooms =
      connection.rooms.length > 1 ? connection.rooms.filter((other) => other !== room) : noRooms;
    return this.#removeFrom(room, connection);
  }

  get(id: string): Connection | undefined {
    return this.#connections.get(id);
  }

  /** The connections of a user, oldest first. */
  ofUser(userId: UserId): Connection[] {
    const found = this.#users.get(userId);
    if (found === undefined) return [];
    return found instanceof Set ? [...found] : [found];
  }

  get connections(): IterableIterator<Connection> {
    return this.#connections.values();
  }

  /** The number of rooms that have a member. */
  get roomCount(): number {
    return this.#rooms.size;
  }

  /** The number of connections in a room. */
  size(room: RoomName): number {
    return this.#rooms.get(room)?.size ?? 0;
  }

  received(room: RoomName, message: Envelope, except?: Connection): number {
    const members = this.#rooms.get(room);
    if (!members) return 0;
    this.delivered += members.deliver(message, except);
    return members.size - (except ? 1 : 0);
  }

  /** Withholds the logged messages of a room from a member, which receives them by a replay. */
  withhold(connection: Connection, room: RoomName): void {
    this.#rooms.get(room)?.withhold(connection);
  }

  /** From now on the member receives the logged messages of the room as they come. */
  release(connection: Connection, room: RoomName): void {
    this.#rooms.get(room)?.release(connection);
  }

  #removeFrom(room: RoomName, connection: Connection): boolean {
    const members = this.#rooms.get(room);
    members?.delete(connection);
    return members?.size === 0 && this.#rooms.delete(room);
  }
}

/** The members of one room, grouped by gateway. */
class Members {
  size = 0;
  #replaying: Set<Connection> | undefined;
  readonly #groups = new Map<Gateway, Group>();

  add(connection: Connection): void {
    const group = this.#groups.get(connection.gateway) ?? new Group();
    this.#groups.set(connection.gateway, group.add(connection));
    this.size++;
  }

  delete(connection: Connection): void {
    const group = this.#groups.get(connection.gateway);
    if (!group?.delete(connection)) return;
    this.release(connection);
    this.size--;
    if (group.size === 0) this.#groups.delete(connection.gateway);
  }

  withhold(connection: Connection): void {
    this.#replaying ??= new Set();
    this.#replaying.add(connection);
  }

  release(connection: Connection): void {
    if (this.#replaying?.delete(connection) && this.#replaying.size === 0) this.#replaying = undefined;
  }

  /** @returns the number of copies handed to gateways */
  deliver(message: Envelope, except: Connection | undefined): number {
    const replaying = message instanceof LogEntry ? this.#replaying : undefined;
    const isLeftOut = (member: Connection) => member === except || replaying?.has(member);
    let copies = 0;
    for (const [gateway, group] of this.#groups) {
      const members =
        replaying || except?.gateway === gateway
          ? group.list.filter((member) => !isLeftOut(member))
          : group.list;
      // Without members, encoding the message would be wasted.
      if (members.length > 0) gateway.deliver(members, message);
      copies += members.length;
    }
    return copies;
  }
}

/** A set of connections that caches its list until the next change. */
class Group extends Set<Connection> {
  #list: readonly Connection[] | undefined;

  get list(): readonly Connection[] {
    this.#list ??= [...this];
    return this.#list;
  }

  override add(connection: Connection): this {
    this.#list = undefined;
    return super.add(connection);
  }

  override delete(connection: Connection): boolean {
    this.#list = undefined;
    return super.delete(connection);
  }
}
