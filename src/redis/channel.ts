import type { Presence, RoomName } from "../protocol.ts";
import { EncodedMessage } from "../rooms/envelope.ts";
import { LogEntry } from "../rooms/log.ts";
import { type Position, positionOf } from "../rooms/position.ts";
import type { ChannelOwner } from "./channel-owner.ts";
import { type Change, changeOf, decodeChange } from "./events.ts";
import { Tail } from "./tail.ts";
import { Waiters } from "./waiters.ts";

/** The most characters of messages that wait until the channel has caught up. The log has what is dropped. */
const maxQueuedChars = 4_000_000;

/** How long a request waits until what Redis has carried out takes effect on this node, in milliseconds. */
const longestDeliveryMs = 1_000;

/** The presence events of a room since the recording began. */
export interface Recording {
  readonly events: { change: number; presence: Presence }[];
  stop(): void;
}

/** Counts for the metrics, of all channels together. */
export interface ChannelCounts {
  received: number;
  /** Received for rooms that have no member on this node, and are not about to get one. */
  discarded: number;
  /** How often a channel has read what it had missed. */
  repairs: number;
}

/**
 * The events of one room in the order in which Redis published them, without a hole. What was missed is read from the
 * log before anything newer is delivered.
 */
export class Channel {
  readonly room: RoomName;
  /** The number of members on all nodes. */
  members = 0;
  /** The last logged message that was delivered; undefined before the first event. */
  position: Position | undefined;
  /** The number of requests that need the channel although the room may have no members on this node. */
  pins = 0;
  /** When the room lost its last member on this node; undefined if it has members. */
  idleSinceMs: number | undefined;
  readonly #owner: ChannelOwner;
  readonly #counts: ChannelCounts;
  #change = 0;
  /** What arrives while the channel catches up; undefined while it is live. */
  #queue: string[] | undefined;
  #queuedChars = 0;
  #isReading = false;
  /** The last messages, while a member replays. */
  readonly #tail = new Tail();
  #hasDropped = false;
  readonly #recordings = new Set<Recording>();
  readonly #seqWaiters = new Waiters(longestDeliveryMs);
  readonly #changeWaiters = new Waiters(longestDeliveryMs);

  constructor(room: RoomName, owner: ChannelOwner, counts: ChannelCounts) {
    this.room = room;
    this.#owner = owner;
    this.#counts = counts;
  }

  /** Handles what was published on the channel. */
  receive(payload: string): void {
    this.#counts.received++;
    if (this.pins === 0 && this.#owner.hub.size(this.room) === 0) this.#counts.discarded++;
    if (this.#queue) this.#enqueue(payload);
    else this.#handle(payload);
  }

  /** Resolves when a message was delivered on this node, or if that must be waited for too long. */
  delivered({ epoch, seq }: Position): Promise<void> | undefined {
    const { position } = this;
    if (this.#queue || position?.epoch !== epoch || position.seq >= seq) return undefined;
    return this.#seqWaiters.until(seq);
  }

  /** Resolves when a change has taken effect on this node, or if that must be waited for too long. */
  changed(change: number): Promise<void> | undefined {
    return change <= this.#change ? undefined : this.#changeWaiters.until(change);
  }

  /** From now on, what arrives waits until the channel has caught up. */
  stall(): void {
    this.#queue ??= [];
    this.#seqWaiters.release();
  }

  /** Delivers what the channel has missed, then goes on. @throws {ClientError} `unavailable`; it may be called again */
  async catchUp(): Promise<void> {
    this.stall();
    if (this.#isReading) return;
    this.#isReading = true;
    this.#counts.repairs++;
    try {
      do while (await this.#read());
      while (this.#drain());
    } finally {
      this.#isReading = false;
    }
  }

  /** The messages after a position up to the last one that was delivered; undefined if the channel does not have them. */
  after({ epoch, seq }: Position): readonly LogEntry[] | undefined {
    const { position } = this;
    if (position?.epoch !== epoch || seq > position.seq) return undefined;
    return this.#tail.last(position.seq - seq);
  }

  /** The number of the message before those that {@link after} has. */
  get keptAfter(): number {
    return (this.position?.seq ?? 0) - this.#tail.size;
  }

  /** Records the presence events from now on. */
  record(): Recording {
    const recording: Recording = { events: [], stop: () => this.#recordings.delete(recording) };
    this.#recordings.add(recording);
    return recording;
  }

  /** Whether the channel must still catch up. */
  get isStalled(): boolean {
    return this.#queue !== undefined;
  }

  #enqueue(payload: string): void {
    this.#queue?.push(payload);
    this.#queuedChars += payload.length;
    if (this.#queuedChars <= maxQueuedChars) return;
    this.#queue = this.#queue?.filter((queued) => queued[0] !== "M" && queued[0] !== "T");
    this.#queuedChars = 0;
    this.#hasDropped = true;
  }

  /** Forgets the logged messages that wait: the log is read next. Those of a log that was lost would never fit. */
  #forgetQueued(): void {
    this.#queue = this.#queue?.filter((payload) => payload[0] !== "M");
    this.#queuedChars = this.#queue?.reduce((sum, { length }) => sum + length, 0) ?? 0;
  }

  #handle(payload: string): void {
    switch (payload[0]) {
      case "M":
        this.#logged(payload);
        break;
      case "T":
        this.#owner.hub.received(this.room, new EncodedMessage(payload.slice(1), true));
        break;
      default:
        this.#numbered(payload);
    }
  }

  /** Messages that follow each other, two lines each: the offset and the JSON. */
  #logged(payload: string): void {
    const end = payload.indexOf("\n");
    const first = positionOf(payload.slice(1, end));
    this.position ??= { epoch: first.epoch, seq: first.seq - 1 };
    if (first.epoch !== this.position.epoch || first.seq > this.position.seq + 1) {
      this.#repair(payload);
      return;
    }
    for (let { seq } = first, start = end + 1; ; seq++) {
      const next = payload.indexOf("\n", start);
      const json = next < 0 ? payload.slice(start) : payload.slice(start, next);
      if (seq > this.position.seq) this.#deliver(new LogEntry(seq, json));
      if (next < 0) return;
      start = payload.indexOf("\n", next + 1) + 1;
    }
  }

  #numbered(payload: string): void {
    const number = changeOf(payload);
    if (number <= this.#change) return;
    if (number > this.#change + 1 && this.#change > 0) this.#repair(payload);
    else this.#apply(decodeChange(this.room, payload));
  }

  /** Something is missing before this. */
  #repair(payload: string): void {
    this.stall();
    this.#enqueue(payload);
    // If it fails, the node calls it again once Redis answers.
    if (!this.#isReading) this.catchUp().catch(() => {});
  }

  #apply(change: Change): void {
    const { hub, nodeId } = this.#owner;
    this.#change = change.change;
    if (change.kind === "P") {
      hub.report(change.presence);
      for (const { events } of this.#recordings) events.push(change);
    } else {
      this.members = change.members;
      const isOwn = change.node === nodeId;
      if (change.kind === "J") this.position ??= change.head;
      if (isOwn && change.kind === "L") this.#owner.left(this.room, change.connection);
      const except =
        isOwn && change.kind === "J" ? this.#owner.joined(this.room, change.connection) : undefined;
      if (change.json) hub.received(this.room, new EncodedMessage(change.json), except);
    }
    this.#changeWaiters.reached(change.change);
  }

  #deliver(entry: LogEntry): void {
    const { hub } = this.#owner;
    this.position = { epoch: (this.position as Position).epoch, seq: entry.seq };
    hub.received(this.room, entry);
    if (hub.isWithholding(this.room)) this.#tail.push(entry);
    else this.#tail.clear();
    this.#seqWaiters.reached(entry.seq);
  }

  /** Reads and delivers a part of what is missing. @returns whether there is more */
  async #read(): Promise<boolean> {
    this.#forgetQueued();
    const missed = await this.#owner.missed(this.room, this.position, this.#change);
    const { head, seq, entries, isComplete, changes, change, members } = missed;
    const isGap = this.position !== undefined && !isComplete;
    if (isGap) this.#restart(head.epoch, seq - entries.length);
    for (const entry of entries) this.#deliver(entry);
    this.position ??= { epoch: head.epoch, seq };
    if (seq < head.seq) return true;
    for (const payload of changes)
      if (changeOf(payload) > this.#change) this.#apply(decodeChange(this.room, payload));
    this.#change = change;
    this.#changeWaiters.reached(change);
    this.members = members;
    return false;
  }

  /** The log has lost what comes next, or begins anew: members are told where it goes on. */
  #restart(epoch: string, seq: number): void {
    this.position = { epoch, seq };
    this.#tail.clear();
    this.#seqWaiters.release();
    this.#owner.hub.restart(this.room, this.position);
  }

  /** Handles what has arrived meanwhile. @returns whether something is missing again */
  #drain(): boolean {
    const queue = this.#queue ?? [];
    const hasDropped = this.#hasDropped;
    this.#queue = undefined;
    this.#queuedChars = 0;
    this.#hasDropped = false;
    for (const [index, payload] of queue.entries()) {
      this.#handle(payload);
      if (!this.isStalled) continue;
      for (const later of queue.slice(index + 1)) this.#enqueue(later);
      return true;
    }
    if (hasDropped) this.stall();
    return hasDropped;
  }
}
