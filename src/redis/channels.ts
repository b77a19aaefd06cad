import type { RoomName } from "../protocol.ts";
import { Channel, type ChannelCounts } from "./channel.ts";
import type { ChannelOwner } from "./channel-owner.ts";
import type { RedisLink } from "./link.ts";

/** How long a channel stays subscribed after its room lost its last member on this node, in milliseconds. */
const lingerMs = 5_000;

/** The channels in one command, and those that catch up at the same time. */
const batchSize = 500;

/** A subscription that is requested in this event loop turn. */
interface Batch {
  readonly names: string[];
  readonly done: Promise<void>;
}

interface Entry {
  readonly channel: Channel;
  readonly owner: ChannelOwner;
  /** Resolves when Redis has confirmed the subscription. */
  subscribed: Promise<void>;
}

/**
 * The subscriptions of this node: its own channel, and those of the rooms that have a member here. Those that are
 * requested in one event loop turn take one command.
 */
export class Channels {
  readonly counts: ChannelCounts & { resubscriptions: number } = {
    received: 0,
    discarded: 0,
    repairs: 0,
    resubscriptions: 0,
  };
  readonly #link: RedisLink;
  readonly #entries = new Map<string, Entry>();
  /** Handles what arrives on the node's own channel. */
  #own: { name: string; receive(payload: string): void } | undefined;
  #batch: Batch | undefined;

  constructor(link: RedisLink) {
    this.#link = link;
    link.subscriber.on("message", (name: string, payload: string) => this.#receive(name, payload));
    link.subscriber.on("close", () => this.stall());
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * The channel of a room, once it is subscribed. It stays so until its pins are given back and its room has no members.
   *
   * @throws {ClientError} `unavailable`
   */
  async open(namespace: string, room: RoomName, owner: ChannelOwner): Promise<Channel> {
    const name = this.#nameOf(namespace, room);
    const entry = this.#entries.get(name) ?? this.#add(name, room, owner);
    entry.channel.pins++;
    try {
      await entry.subscribed;
      return entry.channel;
    } catch (error) {
      entry.channel.pins--;
      if (!isUsed(entry)) this.#entries.delete(name);
      throw error;
    }
  }

  /** The channel of a room; undefined if it is not subscribed. */
  get(namespace: string, room: RoomName): Channel | undefined {
    return this.#entries.get(this.#nameOf(namespace, room))?.channel;
  }

  /** Sets the receiver of the node's own channel, which {@link resubscribe} subscribes to. */
  listen(nodeId: string, receive: (payload: string) => void): void {
    this.#own = { name: `${this.#link.prefix}:node:${nodeId}`, receive };
  }

  /** Subscribes to every channel again, on a new connection. */
  async resubscribe(): Promise<void> {
    const names = [...this.#entries.keys()];
    this.counts.resubscriptions += names.length;
    if (this.#own) names.push(this.#own.name);
    for (let at = 0; at < names.length; at += batchSize)
      await this.#link.subscribe(names.slice(at, at + batchSize));
    for (const entry of this.#entries.values()) {
      entry.subscribed = Promise.resolve();
      entry.channel.stall();
    }
  }

  /** From now on, the channels may miss something: what arrives waits until they have caught up. */
  stall(): void {
    for (const { channel } of this.#entries.values()) channel.stall();
  }

  /** Lets the channels that have missed something catch up. */
  async catchUp(): Promise<void> {
    const stalled = [...this.#entries.values()].filter(({ channel }) => channel.isStalled);
    for (let at = 0; at < stalled.length; at += batchSize)
      await Promise.all(stalled.slice(at, at + batchSize).map(({ channel }) => channel.catchUp()));
  }

  /** Unsubscribes from channels that nobody has needed for a while. */
  sweep(nowMs: number): void {
    const unused: string[] = [];
    for (const [name, entry] of this.#entries) {
      const { channel } = entry;
      if (isUsed(entry)) channel.idleSinceMs = undefined;
      else if (channel.idleSinceMs === undefined) channel.idleSinceMs = nowMs;
      else if (nowMs - channel.idleSinceMs > lingerMs) unused.push(name);
    }
    for (const name of unused) this.#entries.delete(name);
    // If it fails, the connection is lost, and with it the subscription.
    if (unused.length > 0) this.#link.subscriber.unsubscribe(...unused).catch(() => {});
  }

  #nameOf = (namespace: string, room: RoomName) => `${this.#link.prefix}:{${namespace} ${room}}`;

  #add(name: string, room: RoomName, owner: ChannelOwner): Entry {
    const channel = new Channel(room, owner, this.counts);
    const entry = { channel, owner, subscribed: this.#subscribe(name) };
    this.#entries.set(name, entry);
    return entry;
  }

  #subscribe(name: string): Promise<void> {
    const batch = this.#batch ?? this.#begin();
    batch.names.push(name);
    return batch.done;
  }

  #begin(): Batch {
    const names: string[] = [];
    const done = new Promise<void>((resolve, reject) => {
      setImmediate(() => {
        this.#batch = undefined;
        this.#link.subscribe(names).then(resolve, reject);
      });
    });
    this.#batch = { names, done };
    return this.#batch;
  }

  #receive(name: string, payload: string): void {
    const entry = this.#entries.get(name);
    if (entry) entry.channel.receive(payload);
    else if (name === this.#own?.name) this.#own.receive(payload);
  }
}

const isUsed = ({ channel, owner }: Entry) => channel.pins > 0 || owner.hub.size(channel.room) > 0;
