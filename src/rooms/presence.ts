import type { PresentUser, RoomName, UserId, Who } from "../protocol.ts";
import { type Connection, deliver } from "./connection.ts";
import { UnloggedEvent } from "./envelope.ts";

/** The most users that `who` lists. */
const maxListedUsers = 1_000;

/** The users of one room. */
interface RoomPresence {
  /** The number of connections of each user; 0 during the grace period after the last one was lost. */
  readonly users: Map<UserId, number>;
  watchers: Set<Connection> | undefined;
}

/** A user whose last connection in a room was lost. */
interface Lost {
  readonly room: RoomName;
  readonly userId: UserId;
  readonly dueAt: number;
}

/**
 * The users in each room of a namespace. It reports to the watchers of a room when a user's first connection enters
 * and when the last one leaves. A user whose connection was lost stays present for a grace period.
 */
export class Presence {
  readonly #graceMs: number;
  readonly #rooms = new Map<RoomName, RoomPresence>();
  /** By room and user, in the order in which the grace periods end. */
  readonly #lost = new Map<string, Lost>();
  #timer: NodeJS.Timeout | undefined;
  #users = 0;
  #watchers = 0;

  /** @param graceMs how long a user whose last connection was lost counts as present, in milliseconds */
  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** The number of users, counted in each of their rooms. */
  get users(): number {
    return this.#users;
  }

  /** The number of subscriptions to presence events. */
  get watchers(): number {
    return this.#watchers;
  }

  /** A connection has joined a room. */
  entered(room: RoomName, { userId }: Connection): void {
    const presence = this.#rooms.get(room) ?? this.#create(room);
    const connections = presence.users.get(userId);
    presence.users.set(userId, (connections ?? 0) + 1);
    if (connections === 0) this.#lost.delete(lostKey(room, userId));
    if (connections !== undefined) return;
    this.#users++;
    this.#report(room, presence, userId, true);
  }

  /** A connection has left a room. @param isLost whether it may come back within the grace period */
  left(room: RoomName, connection: Connection, isLost: boolean): void {
    const presence = this.#rooms.get(room);
    const connections = presence?.users.get(connection.userId);
    if (!presence || !connections) return;
    this.#removeWatcher(presence, connection);
    const { userId } = connection;
    if (connections > 1) presence.users.set(userId, connections - 1);
    else if (isLost && this.#graceMs > 0) this.#lose(room, presence, userId);
    else this.#remove(room, presence, userId);
  }

  who(room: RoomName): Who {
    const users = this.#rooms.get(room)?.users ?? new Map<UserId, number>();
    const listed: PresentUser[] = [];
    for (const [userId, connections] of users) {
      if (listed.length === maxListedUsers) break;
      listed.push({ userId, connections });
    }
    return { room, users: listed, total: users.size };
  }

  /** Subscribes a member of a room to its presence events. */
  watch(room: RoomName, connection: Connection): void {
    const presence = this.#rooms.get(room);
    if (!presence || presence.watchers?.has(connection)) return;
    presence.watchers ??= new Set();
    presence.watchers.add(connection);
    this.#watchers++;
  }

  unwatch(room: RoomName, connection: Connection): void {
    const presence = this.#rooms.get(room);
    if (presence) this.#removeWatcher(presence, connection);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #create(room: RoomName): RoomPresence {
    const presence = { users: new Map(), watchers: undefined };
    this.#rooms.set(room, presence);
    return presence;
  }

  #lose(room: RoomName, presence: RoomPresence, userId: UserId): void {
    presence.users.set(userId, 0);
    this.#lost.set(lostKey(room, userId), { room, userId, dueAt: performance.now() + this.#graceMs });
    this.#timer ??= setTimeout(() => this.#expire(), this.#graceMs).unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [key, { room, userId, dueAt }] of this.#lost) {
      // Timers may fire up to a millisecond early.
      if (dueAt > now + 1) {
        this.#timer = setTimeout(() => this.#expire(), dueAt - now).unref();
        return;
      }
      this.#lost.delete(key);
      this.#remove(room, this.#rooms.get(room) as RoomPresence, userId);
    }
  }

  #remove(room: RoomName, presence: RoomPresence, userId: UserId): void {
    presence.users.delete(userId);
    this.#users--;
    if (presence.users.size === 0) this.#rooms.delete(room);
    else this.#report(room, presence, userId, false);
  }

  #removeWatcher(presence: RoomPresence, connection: Connection): void {
    if (!presence.watchers?.delete(connection)) return;
    this.#watchers--;
    if (presence.watchers.size === 0) presence.watchers = undefined;
  }

  #report(room: RoomName, { users, watchers }: RoomPresence, userId: UserId, online: boolean): void {
    if (!watchers) return;
    const event = new UnloggedEvent("presence", { room, userId, online, total: users.size });
    deliver(watchers, event);
  }
}

/** Names and userIds contain no control characters. */
const lostKey = (room: RoomName, userId: UserId) => `${room}\n${userId}`;
