import type { Message, Presence, RoomName, UserId } from "../protocol.ts";
import { type Connection, deliver, noRooms } from "./connection.ts";
import { type Envelope, UnloggedEvent } from "./envelope.ts";
import { Members } from "./members.ts";
import { offsetOf, type Position } from "./position.ts";

/**
 * The connections of one namespace on this node, by id, by user and by room. The broker changes membership and
 * delivers messages through the hub, which makes no decisions.
 */
export class Hub {
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

  /** The rooms that have a member. */
  roomNames(): RoomName[] {
    return [...this.#rooms.keys()];
  }

  /** The users that have a connection. */
  userIds(): UserId[] {
    return [...this.#users.keys()];
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

  /** Delivers a message to all connections of its user. @returns their number */
  tell(message: Message & { to: UserId }): number {
    const connections = this.ofUser(message.to);
    deliver(connections, new UnloggedEvent("res", message));
    this.delivered += connections.length;
    return connections.length;
  }

  /** Delivers a message to one connection, as an event that only this connection knows. @returns how many it reached */
  whisper(message: Message & { to: string }): number {
    const connection = this.get(message.to);
    if (!connection) return 0;
    connection.whisper(message);
    this.delivered++;
    return 1;
  }

  /** Subscribes a member of a room to its presence events, until it leaves. */
  watch(room: RoomName, connection: Connection): void {
    if (connection.rooms.includes(room)) this.#rooms.get(room)?.watch(connection);
  }

  unwatch(room: RoomName, connection: Connection): void {
    this.#rooms.get(room)?.unwatch(connection);
  }

  /** The number of subscriptions to presence events. */
  get watchers(): number {
    let sum = 0;
    for (const members of this.#rooms.values()) sum += members.watchers;
    return sum;
  }

  /** The number of users with a connection on this node, counted in each of their rooms. */
  presentUsers(): number {
    let sum = 0;
    for (const user of this.#users.values())
      sum += user instanceof Set ? new Set([...user].flatMap(({ rooms }) => rooms)).size : user.rooms.length;
    return sum;
  }

  /** Delivers a presence event to the watchers of its room. */
  report(change: Presence): void {
    this.#rooms.get(change.room)?.report(change);
  }

  /** Withholds the logged messages of a room from a member, which receives them by a replay. */
  withhold(connection: Connection, room: RoomName): void {
    this.#rooms.get(room)?.withhold(connection);
  }

  /** From now on the member receives the logged messages of the room that come after this number. */
  release(connection: Connection, room: RoomName, seq: number): void {
    this.#rooms.get(room)?.release(connection, seq);
  }

  /** Whether the logged messages of a room are withheld from a member. */
  isWithholding(room: RoomName): boolean {
    return this.#rooms.get(room)?.isWithholding ?? false;
  }

  /**
   * Messages of a room were lost: they go on after this position. Its members are told so, except those that are
   * replaying, whose verdict will say it.
   */
  restart(room: RoomName, position: Position): void {
    const members = this.#rooms.get(room);
    for (const member of members?.live ?? [])
      member.send("sync", { room, offset: offsetOf(position), status: "gap", missed: 0 });
    members?.restart(position.seq);
  }

  #removeFrom(room: RoomName, connection: Connection): boolean {
    const members = this.#rooms.get(room);
    members?.delete(connection);
    return members?.size === 0 && this.#rooms.delete(room);
  }
}
