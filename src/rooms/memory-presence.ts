import type { PresentUser, RoomName, UserId, Who } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import type { Hub } from "./hub.ts";
import { maxListedUsers, type Presence } from "./presence.ts";

/** The number of connections of each user of a room; 0 during the grace period after the last one was lost. */
type Users = Map<UserId, number>;

/** A user whose last connection in a room was lost. */
interface Lost {
  readonly room: RoomName;
  readonly userId: UserId;
  readonly dueAt: number;
}

/** The presence of a single node, in memory. */
export class MemoryPresence implements Presence {
  readonly #hub: Hub;
  readonly #graceMs: number;
  readonly #rooms = new Map<RoomName, Users>();
  /** By room and user, in the order in which the grace periods end. */
  readonly #lost = new Map<string, Lost>();
  #timer: NodeJS.Timeout | undefined;
  /** @param graceMs how long a user whose last connection was lost counts as present, in milliseconds */
  constructor(hub: Hub, graceMs: number) {
    this.#hub = hub;
    this.#graceMs = graceMs;
  }

  /** A connection has joined a room. */
  entered(room: RoomName, { userId }: Connection): void {
    const users = this.#rooms.get(room) ?? this.#create(room);
    const connections = users.get(userId);
    users.set(userId, (connections ?? 0) + 1);
    if (connections === 0) this.#lost.delete(lostKey(room, userId));
    if (connections === undefined) this.#report(room, users, userId, true);
  }

  /** A connection has left a room. @param isLost whether it may come back within the grace period */
  left(room: RoomName, { userId }: Connection, isLost: boolean): void {
    const users = this.#rooms.get(room);
    const connections = users?.get(userId);
    if (!users || !connections) return;
    if (connections > 1) users.set(userId, connections - 1);
    else if (isLost && this.#graceMs > 0) this.#lose(room, users, userId);
    else this.#remove(room, users, userId);
  }

  who(room: RoomName): Who {
    const users: Users = this.#rooms.get(room) ?? new Map();
    const listed: PresentUser[] = [];
    for (const [userId, connections] of users) {
      if (listed.length === maxListedUsers) break;
      listed.push({ userId, connections });
    }
    return { room, users: listed, total: users.size };
  }

  watch(room: RoomName, connection: Connection): Who {
    this.#hub.watch(room, connection);
    return this.who(room);
  }

  unwatch(room: RoomName, connection: Connection): void {
    this.#hub.unwatch(room, connection);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #create(room: RoomName): Users {
    const users: Users = new Map();
    this.#rooms.set(room, users);
    return users;
  }

  #lose(room: RoomName, users: Users, userId: UserId): void {
    users.set(userId, 0);
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
      this.#remove(room, this.#rooms.get(room) as Users, userId);
    }
  }

  #remove(room: RoomName, users: Users, userId: UserId): void {
    users.delete(userId);
    if (users.size === 0) this.#rooms.delete(room);
    else this.#report(room, users, userId, false);
  }

  #report(room: RoomName, users: Users, userId: UserId, online: boolean): void {
    this.#hub.report({ room, userId, online, total: users.size });
  }
}

/** Names and userIds contain no control characters. */
const lostKey = (room: RoomName, userId: UserId) => `${room}\n${userId}`;
