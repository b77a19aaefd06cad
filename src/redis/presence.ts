import { ClientError } from "../errors.ts";
import type { NamespaceName, RoomName, Who } from "../protocol.ts";
import type { Connection } from "../rooms/connection.ts";
import type { Hub } from "../rooms/hub.ts";
import { maxListedUsers, type Presence } from "../rooms/presence.ts";
import type { Node } from "./node.ts";

/** The users of a room at one moment: after the change with this number. */
interface Snapshot {
  readonly who: Who;
  readonly change: number;
}

/** The presence of one namespace in Redis. */
export class RedisPresence implements Presence {
  readonly #namespace: NamespaceName;
  readonly #hub: Hub;
  readonly #node: Node;
  /** Subscriptions whose snapshot is being read, by connection and room. */
  readonly #pending = new Map<Connection, Set<RoomName>>();

  constructor(namespace: NamespaceName, hub: Hub, node: Node) {
    this.#namespace = namespace;
    this.#hub = hub;
    this.#node = node;
  }

  async who(room: RoomName): Promise<Who> {
    return (await this.#snapshot(room)).who;
  }

  async watch(room: RoomName, connection: Connection): Promise<Who> {
    const recording = this.#node.channels.get(this.#namespace, room)?.record();
    if (!recording) throw new ClientError("closing");
    // A repeated request starts again: what its ack says must not be older than the events before it.
    this.#hub.unwatch(room, connection);
    this.#expect(connection, room);
    try {
      const { who, change: from } = await this.#snapshot(room);
      // The events that follow on the snapshot are sent after the ack.
      setImmediate(() => {
        recording.stop();
        if (!this.#forget(connection, room)) return;
        for (const { change, presence } of recording.events)
          if (change > from) connection.send("presence", presence);
        this.#hub.watch(room, connection);
      });
      return who;
    } catch (error) {
      recording.stop();
      this.#forget(connection, room);
      throw error;
    }
  }

  unwatch(room: RoomName, connection: Connection): void {
    this.#forget(connection, room);
    this.#hub.unwatch(room, connection);
  }

  close(): void {}

  #expect(connection: Connection, room: RoomName): void {
    const rooms = this.#pending.get(connection);
    if (rooms) rooms.add(room);
    else this.#pending.set(connection, new Set([room]));
  }

  /** @returns whether the subscription was still wanted */
  #forget(connection: Connection, room: RoomName): boolean {
    const rooms = this.#pending.get(connection);
    if (!rooms?.delete(room)) return false;
    if (rooms.size === 0) this.#pending.delete(connection);
    return true;
  }

  async #snapshot(room: RoomName): Promise<Snapshot> {
    type Reply = [change: number, total: number, ...usersAndConnections: string[]];
    const { link } = this.#node;
    const [change, total, ...pairs] = await link.run<Reply>("who", this.#namespace, room, maxListedUsers);
    const users = [];
    for (let at = 0; at < pairs.length; at += 2)
      users.push({ userId: pairs[at] as string, connections: Number(pairs[at + 1]) });
    return { who: { room, users, total }, change };
  }
}
