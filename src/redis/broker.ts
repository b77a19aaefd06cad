import { ClientError } from "../errors.ts";
import type { Message, NamespaceName, Receipt, RoomName, UserId } from "../protocol.ts";
import type { Broker, Entrance, Move, Publication } from "../rooms/broker.ts";
import type { Connection } from "../rooms/connection.ts";
import type { Remembered } from "../rooms/dedup.ts";
import { encodeCopy } from "../rooms/envelope.ts";
import type { Hub } from "../rooms/hub.ts";
import type { HistoryPage, Page, Start } from "../rooms/log.ts";
import { newEpoch, type Position, positionOf } from "../rooms/position.ts";
import { longestAnswerMs, withinTime } from "./answer-time.ts";
import type { Channel } from "./channel.ts";
import type { ChannelOwner, Missed } from "./channel-owner.ts";
import type { Departure } from "./departures.ts";
import { LogReader } from "./log-reader.ts";
import type { Node } from "./node.ts";
import { idKey, offsetsOf, type Published, remembered } from "./publisher.ts";

/** Connections that are registered anew at the same time. */
const restoreBatch = 100;

/** The connection's way into the rooms that it is about to enter. */
interface Entering {
  readonly connection: Connection;
  readonly entrances: Map<RoomName, Entrance>;
}

/** The broker of one namespace on a node that shares its rooms with others through Redis. */
export class RedisBroker implements Broker, ChannelOwner {
  readonly isShared = true;
  readonly hub: Hub;
  readonly #namespace: NamespaceName;
  readonly #node: Node;
  readonly #entering = new Map<string, Entering>();
  readonly #reader: LogReader;

  constructor(namespace: NamespaceName, hub: Hub, node: Node) {
    this.#namespace = namespace;
    this.hub = hub;
    this.#node = node;
    this.#reader = new LogReader(namespace, node);
  }

  get nodeId(): string {
    return this.#node.id;
  }

  publish(publication: Publication): Promise<Receipt> {
    // The hot path: a single promise.
    return new Promise((resolve, reject) => {
      const published = (result: Published) => resolve(this.#receipt(publication.message, result));
      this.#node.publisher.publish(this.#namespace, publication, published, reject);
    });
  }

  #receipt({ id, rooms }: Message, published: Published): Receipt | Promise<Receipt> {
    if (typeof published === "string") return { ...remembered(published), recipients: 0, duplicate: true };
    const [recipients, ...offsets] = published;
    const receipt = { id, rooms, recipients, offsets: offsetsOf(rooms, offsets), duplicate: false };
    // Its sender receives its own copy before the ack, as on a single node.
    const delivered = offsets.map((offset, index) =>
      this.#channel(rooms[index] as RoomName)?.delivered(positionOf(offset)),
    );
    return delivered.some(Boolean) ? Promise.all(delivered).then(() => receipt) : receipt;
  }

  async published(dedupKey: string): Promise<Remembered | undefined> {
    const text = await this.#node.link.run<string | null>("remembered", idKey(this.#namespace, dedupKey));
    return text === null ? undefined : remembered(text);
  }

  async enter(connection: Connection, entrances: readonly Entrance[]): Promise<void> {
    const byRoom = new Map(entrances.map((entrance) => [entrance.room, entrance]));
    const entering: Entering = { connection, entrances: byRoom };
    this.#entering.set(connection.id, entering);
    try {
      await withinTime(this.#enter(entering, entrances));
    } catch (error) {
      // Whether Redis has carried it out, or will before the deadline, is not known.
      const rooms = [...byRoom.keys()];
      setTimeout(() => void this.#depart(connection, rooms, false), longestAnswerMs).unref();
      throw error;
    } finally {
      if (this.#entering.get(connection.id) === entering) this.#entering.delete(connection.id);
    }
  }

  async #enter(entering: Entering, entrances: readonly Entrance[]): Promise<void> {
    const { connection } = entering;
    const mustBeConnected = () => {
      if (this.#entering.get(connection.id) !== entering) throw new ClientError("closing");
    };
    const opened = await Promise.allSettled(
      entrances.map(({ room }) => this.#node.channels.open(this.#namespace, room, this)),
    );
    const channels = opened.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    try {
      if (channels.length < opened.length) throw new ClientError("unavailable");
      mustBeConnected();
      const changes = await this.#register(connection, entrances);
      await Promise.all(changes.map((change, index) => channels[index]?.changed(change)));
      mustBeConnected();
      // A channel that lost its subscription may be unable to read all changes that it has missed.
      for (const { room } of entrances) this.joined(room, connection.id);
    } finally {
      for (const channel of channels) channel.pins--;
    }
  }

  /** Registers a connection with its rooms in Redis. @returns the number of the change in each room */
  #register(connection: Connection, entrances: readonly Move[], reportsPresence = true): Promise<number[]> {
    const { link } = this.#node;
    const rooms = entrances.flatMap(({ room, announcement }) => [room, encoded(room, announcement)]);
    const options = [this.nodeId, link.deadline, newEpoch(), reportsPresence ? 1 : 0, this.#namespace];
    return link.run("enter", ...options, connection.id, connection.userId, ...rooms);
  }

  joined(room: RoomName, connectionId: string): Connection | undefined {
    const { connection, entrances } = this.#entering.get(connectionId) ?? {};
    const entrance = entrances?.get(room);
    if (!connection || !entrance) return undefined;
    entrances?.delete(room);
    this.hub.join(connection, room);
    entrance.entered();
    return entrance.isForOthers ? connection : undefined;
  }

  left(room: RoomName, connectionId: string): void {
    const connection = this.hub.get(connectionId);
    if (connection?.rooms.includes(room)) this.hub.leave(connection, room);
  }

  async leave(connection: Connection, { room, announcement }: Move): Promise<void> {
    const { link, graceMs } = this.#node;
    const options = [
      link.deadline,
      this.nodeId,
      0,
      graceMs,
      this.#namespace,
      connection.id,
      connection.userId,
    ];
    const [change = 0] = await link.run<number[]>("exit", ...options, 0, room, encoded(room, announcement));
    // If the change does not arrive, the member has left nevertheless.
    await this.#channel(room)?.changed(change);
    this.left(room, connection.id);
  }

  remove(connection: Connection, moves: readonly Move[], isLost: boolean): Promise<void> {
    const entering = this.#entering.get(connection.id);
    this.#entering.delete(connection.id);
    const announcements = new Map(moves.map(({ room, announcement }) => [room, announcement]));
    const pending = [...(entering?.entrances.keys() ?? [])];
    const departed = this.#depart(connection, [...announcements.keys(), ...pending], isLost, announcements);
    // Those of many connections that ended at once may take longer.
    return withinTime(departed).catch(() => {});
  }

  /** Removes memberships from Redis, and the connection itself if it has ended. */
  #depart(
    { id, userId }: Connection,
    rooms: readonly RoomName[],
    isLost: boolean,
    announcements?: ReadonlyMap<RoomName, Message | undefined>,
  ): Promise<void> {
    const departure = { namespace: this.#namespace, connection: id, userId, isLost };
    // A client that was refused may have repeated its request.
    const isMember = (room: RoomName) =>
      this.#entering.get(id)?.entrances.has(room) || this.hub.get(id)?.rooms.includes(room) || false;
    const departures: Departure[] = rooms.map((room) => ({
      ...departure,
      room,
      json: encoded(room, announcements?.get(room)),
      isObsolete: () => isMember(room),
    }));
    if (!this.hub.get(id)) departures.push({ ...departure, room: "", json: "" });
    return this.#node.departures.add(departures);
  }

  size(room: RoomName): number {
    return this.#channel(room)?.members ?? 0;
  }

  head(room: RoomName): Position {
    const position = this.#channel(room)?.position;
    if (!position) throw new ClientError("closing");
    return position;
  }

  async read(room: RoomName, start: Start, maxBytes: number): Promise<Page> {
    const channel = this.#channel(room);
    if (!channel) throw new ClientError("closing");
    return this.#reader.read(channel, start, maxBytes);
  }

  missed(room: RoomName, position: Position | undefined, change: number): Promise<Missed> {
    return this.#reader.missed(room, position, change);
  }

  history(
    room: RoomName,
    before: Position | undefined,
    limit: number,
    maxBytes: number,
  ): Promise<HistoryPage> {
    return this.#reader.history(room, before, limit, maxBytes);
  }

  tell(message: Message & { to: UserId }): Promise<number> {
    return this.#tell("user", message);
  }

  whisper(message: Message & { to: string }): Promise<number> {
    return this.#tell("connection", message);
  }

  #tell(mode: "user" | "connection", message: Message & { to: string }): Promise<number> {
    const { link } = this.#node;
    const payload = [mode, this.#namespace, JSON.stringify(message)].join("\n");
    return link.run("tell", link.deadline, mode, this.#namespace, message.to, payload);
  }

  async isConnected(id: string): Promise<boolean> {
    // Other names are never ids of connections.
    if (!/^[\w-]{20}$/.test(id)) return false;
    if (this.hub.get(id)) return true;
    return (await this.#node.link.run<number>("connected", this.#namespace, id)) === 1;
  }

  /** Registers the connections of this node anew, after Redis has restarted. */
  async restore(): Promise<void> {
    const connections = [...this.hub.connections];
    for (let at = 0; at < connections.length; at += restoreBatch)
      await Promise.all(
        connections.slice(at, at + restoreBatch).map((connection) => this.#registerAnew(connection)),
      );
  }

  async #registerAnew(connection: Connection): Promise<void> {
    const rooms = connection.rooms.map((room) => ({ room, announcement: undefined }));
    // It may have ended while others were registered.
    if (this.hub.get(connection.id)) await this.#register(connection, rooms, false);
  }

  #channel(room: RoomName): Channel | undefined {
    return this.#node.channels.get(this.#namespace, room);
  }
}

const encoded = (room: RoomName, message: Message | undefined): string =>
  message ? encodeCopy(message, room, null) : "";
