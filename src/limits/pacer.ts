import { nextTick } from "node:process";
import { ByteRate, type ByteRateBounds } from "./byte-rate.ts";
import type { Consumer, SlowConsumers } from "./slow-consumers.ts";

/** A connection that sends packets. */
export interface Producer<Packet> extends Consumer {
  /** Whether neither side has closed the connection. */
  readonly isOpen: boolean;
  /** Whether no more packets of the connection are to be handled. */
  readonly isClosed: boolean;
  /** The length of a packet, in bytes or characters. */
  lengthOf(packet: Packet): number;
  handle(packet: Packet): void;
  /** Stops reading from the connection until {@link resume}. */
  pause(): void;
  resume(): void;
}

/** Bytes that the events of one connection may cause to be sent in one event loop turn. */
const connectionWorkBytes = 4_000_000;

/** Bytes that the events of all connections may cause to be sent in one event loop turn. */
const turnWorkBytes = 32_000_000;

/** Overhead of each copy of a message beyond its own bytes. */
export const copyBytes = 64;

/**
 * A connection waits for slow readers only if it sends more than an allowance: a burst and a rate, both
 * fractions of `sendQueueMaxBytes`. Otherwise a slow reader, with an accomplice who fills its backlog, could
 * hold up every sender in its rooms.
 */
const allowanceBurstPart = 1 / 16;
const allowanceRatePart = 1 / 64;

/** How long a connection may wait for slow readers until its packets are handled anyway, in milliseconds. */
const longestHoldMs = 5_000;

/** If packets are short, this many of one chunk are handled before the pacer checks what they have caused. */
const batchPackets = 8;
const batchChars = 2_048;

/** Packets of one connection that wait until the earlier ones are handled. */
class Inbox<Packet> {
  readonly packets: Packet[] = [];
  /** Index of the next packet to handle. */
  next = 0;
  /** Steps of the connection that are not done; its next packet waits for them. */
  pendingSteps = 0;
  /** Called once no packet waits any more. */
  readonly idle: (() => void)[] = [];
  /** When the connection first waited for a reader, in milliseconds of `performance.now()`. */
  heldSince?: number;
}

/**
 * Handles the packets of each connection in order, and applies backpressure to connections whose events cause
 * too much to be sent. A connection that has used up its share of this event loop turn waits for the next
 * turn. A connection that sends to a slow reader in its rooms, or is a slow reader itself, waits until that
 * reader has caught up. Nothing is read from a connection that waits.
 */
export class Pacer<Packet, P extends Producer<Packet>> {
  /** Bytes sent so far, counting every copy. The code that sends adds to it. */
  workBytes = 0;
  /** Bytes sent so far, but counted once per room, as a member of all these rooms receives them. */
  spokenBytes = 0;
  readonly #consumers: SlowConsumers<P>;
  readonly #maxHoldMs: number;
  /** Connections that have waiting packets or are held back. */
  readonly #inboxes = new Map<P, Inbox<Packet>>();
  /** The connection whose packets are being handled in this tick, their number and their total length. */
  #busy: P | undefined;
  #batched = 0;
  #batchedChars = 0;
  /** Whether packets were added to this batch after {@link settle} was scheduled. */
  #hasBatchGrown = false;
  /** The counters when the first packet of this batch arrived. */
  #workBytesBefore = 0;
  #spokenBytesBefore = 0;
  /** The counter at the start of this event loop turn. */
  #turnStart = 0;
  /** Bytes that each connection has caused to be sent in this turn; counted only in a busy turn. */
  readonly #caused = new Map<P, number>();
  #nextTurn: P[] = [];
  /** Connections that waited for this turn. */
  #ready: P[] = [];
  #isTurnEndScheduled = false;
  /** Connections that wait for a reader, by reader. */
  readonly #waiting = new Map<P, P[]>();
  #timer: NodeJS.Timeout | undefined;
  #isOpen = true;
  /** How much each connection may still send to rooms with slow readers before it has to wait. */
  readonly #allowances = new WeakMap<P, ByteRate>();
  readonly #allowanceBounds: ByteRateBounds;

  /** @param pingTimeoutMs a connection is held back for half of it at most, so that heartbeats get through */
  constructor(consumers: SlowConsumers<P>, sendQueueMaxBytes: number, pingTimeoutMs: number) {
    this.#consumers = consumers;
    this.#allowanceBounds = {
      burstBytes: sendQueueMaxBytes * allowanceBurstPart,
      bytesPerSecond: sendQueueMaxBytes * allowanceRatePart,
    };
    this.#maxHoldMs = Math.min(longestHoldMs, pingTimeoutMs / 2);
    consumers.onCaughtUp = (reader) => this.#release(reader);
  }

  /** Handles a received packet at once, or queues it if its connection has to wait. */
  receive(connection: P, packet: Packet): void {
    const inbox = this.#inboxes.size > 0 ? this.#inboxes.get(connection) : undefined;
    if (inbox) {
      inbox.packets.push(packet);
      // The connection may have upgraded while it was held back: its new transport must be paused too.
      if (this.#busy !== connection) this.#hold(connection);
    } else if (this.#busy === undefined ? !this.#isSpent : this.#fitsBatch(connection, packet))
      this.#handle(connection, packet);
    else {
      this.#inboxFor(connection).packets.push(packet);
      // The busy connection continues by itself.
      if (this.#busy !== connection) this.#waitForTurn(connection);
    }
  }

  /** Calls back once all packets received so far are handled; at once if none waits. */
  whenIdle(connection: P, done: () => void): void {
    const isBusy = this.#busy === connection || this.#inboxes.has(connection);
    if (isBusy) this.#inboxFor(connection).idle.push(done);
    else done();
  }

  /** Whether no received packet waits to be handled. */
  get isIdle(): boolean {
    return this.#inboxes.size === 0;
  }

  /** Releases all connections that wait for readers. From now on none waits. */
  close(): void {
    this.#isOpen = false;
    for (const reader of [...this.#waiting.keys()]) this.#release(reader);
    clearInterval(this.#timer);
  }

  get #isSpent(): boolean {
    return this.workBytes - this.#turnStart > turnWorkBytes;
  }

  #fitsBatch(connection: P, packet: Packet): boolean {
    if (this.#busy !== connection || this.#batched >= batchPackets) return false;
    return this.#batchedChars + connection.lengthOf(packet) <= batchChars;
  }

  #handle(connection: P, packet: Packet): void {
    const isFirst = this.#busy === undefined;
    if (isFirst) {
      this.#busy = connection;
      this.#workBytesBefore = this.workBytes;
      this.#spokenBytesBefore = this.spokenBytes;
      this.#batched = 0;
      this.#batchedChars = 0;
      this.#consumers.clearPressing();
    }
    this.#batched++;
    this.#batchedChars += connection.lengthOf(packet);
    this.#hasBatchGrown = !isFirst;
    try {
      connection.handle(packet);
    } finally {
      // Socket.IO handles an event in the next tick; `settle` runs right after it.
      if (isFirst) nextTick(settle, this, connection);
    }
  }

  /** Decides, after packets were handled, whether their connection may continue. */
  settle(connection: P): void {
    if (this.#hasBatchGrown) {
      // Run after the ticks of the packets that were added.
      this.#hasBatchGrown = false;
      nextTick(settle, this, connection);
      return;
    }
    this.#busy = undefined;
    const caused = this.workBytes - this.#workBytesBefore;
    if (caused > 0 && !this.#isTurnEndScheduled) this.#endTurnLater();
    const hasSpentShare = caused > 0 && this.#hasSpentShare(connection, caused);
    const reader = this.#readerFor(connection);
    if (!reader || !this.#holdFor(connection, reader)) {
      if (hasSpentShare) this.#waitForTurn(connection);
      else if (this.#inboxes.size > 0) this.#handleNext(connection);
    }
    if (this.#ready.length > 0) this.#handleReady();
  }

  /** The reader that has to catch up before the given connection may continue. */
  #readerFor(connection: P): P | undefined {
    if (this.#consumers.mustCatchUp(connection)) return connection;
    const reader = this.#consumers.takePressing();
    if (!reader) return undefined;
    const now = performance.now();
    const allowance = this.#allowances.get(connection) ?? new ByteRate(this.#allowanceBounds, now);
    this.#allowances.set(connection, allowance);
    return allowance.take(this.spokenBytes - this.#spokenBytesBefore, now) > 0 ? reader : undefined;
  }

  /** Handles the connection's next waiting packet, if any. */
  #handleNext(connection: P): void {
    const inbox = this.#inboxes.get(connection);
    if (!inbox) return;
    if (inbox.pendingSteps > 0) return;
    const packet = inbox.packets[inbox.next];
    if (!packet || connection.isClosed) this.#resume(connection, inbox);
    else if (this.#isSpent) this.#waitForTurn(connection);
    else {
      inbox.next++;
      this.#handle(connection, packet);
    }
  }

  /**
   * Handles no further packet of a connection, and reads none, until a step is done: what its later events cause must
   * be charged in the turn in which they are handled.
   *
   * @param step never rejects
   */
  waitFor(connection: P, step: Promise<unknown>): void {
    const inbox = this.#hold(connection);
    inbox.pendingSteps++;
    connection.keepAlive();
    void step.then(() => {
      connection.keepAlive();
      if (--inbox.pendingSteps === 0) this.#waitForTurn(connection);
    });
  }

  /** Reads again from a connection that has no waiting packets any more. */
  #resume(connection: P, inbox: Inbox<Packet>): void {
    this.#inboxes.delete(connection);
    connection.resume();
    for (const done of inbox.idle) done();
  }

  /** Handles packets of connections whose turn has come, until one of them has to be settled. */
  #handleReady(): void {
    while (this.#busy === undefined && this.#ready.length > 0) this.#handleNext(this.#ready.shift() as P);
  }

  #hasSpentShare(connection: P, caused: number): boolean {
    // In a lightly loaded turn, no connection can have used up its share.
    if (this.workBytes - this.#turnStart < connectionWorkBytes / 4) return false;
    const sum = (this.#caused.get(connection) ?? 0) + caused;
    this.#caused.set(connection, sum);
    return sum > connectionWorkBytes;
  }

  #inboxFor(connection: P): Inbox<Packet> {
    const known = this.#inboxes.get(connection);
    if (known) return known;
    const inbox = new Inbox<Packet>();
    this.#inboxes.set(connection, inbox);
    return inbox;
  }

  /** Makes a connection wait and stops reading from it. */
  #hold(connection: P): Inbox<Packet> {
    const inbox = this.#inboxFor(connection);
    connection.pause();
    return inbox;
  }

  #waitForTurn(connection: P): void {
    this.#hold(connection);
    this.#nextTurn.push(connection);
    if (!this.#isTurnEndScheduled) this.#endTurnLater();
  }

  #endTurnLater(): void {
    this.#isTurnEndScheduled = true;
    setImmediate(() => this.#endTurn());
  }

  /** Runs after all send queues were flushed. */
  #endTurn(): void {
    this.#isTurnEndScheduled = false;
    this.#turnStart = this.workBytes;
    this.#caused.clear();
    this.#ready = this.#ready.length > 0 ? [...this.#ready, ...this.#nextTurn] : this.#nextTurn;
    this.#nextTurn = [];
    this.#handleReady();
  }

  /**
   * Makes a connection wait for a reader.
   *
   * @returns false if the connection need not wait, or has waited long enough
   */
  #holdFor(connection: P, reader: P): boolean {
    if (!this.#isOpen || !connection.isOpen) return false;
    const now = performance.now();
    const inbox = this.#hold(connection);
    inbox.heldSince ??= now;
    if (reader !== connection && now - inbox.heldSince > this.#maxHoldMs) return false;
    const others = this.#waiting.get(reader);
    if (others) others.push(connection);
    else this.#waiting.set(reader, [connection]);
    this.#timer ??= setInterval(() => this.#checkWaiting(), checkMs).unref();
    return true;
  }

  /** Releases connections that have waited long enough, or whose reader has caught up or stopped reading. */
  #checkWaiting(): void {
    const now = performance.now();
    for (const [reader, connections] of this.#waiting) {
      const isOverdue = (connection: P) =>
        !connection.isOpen ||
        (connection !== reader && now - (this.#inboxes.get(connection)?.heldSince ?? 0) > this.#maxHoldMs);
      const waitsForItself = connections.includes(reader);
      // The server does not read its heartbeats meanwhile, but the client reads what it was sent.
      if (waitsForItself) reader.keepAlive();
      const isFarBehind = waitsForItself
        ? this.#consumers.mustCatchUp(reader)
        : this.#consumers.isPressing(reader);
      if (!isFarBehind || connections.some(isOverdue)) this.#release(reader);
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #release(reader: P): void {
    const connections = this.#waiting.get(reader);
    if (!connections) return;
    this.#waiting.delete(reader);
    for (const connection of connections) {
      connection.keepAlive();
      this.#waitForTurn(connection);
    }
  }
}

const checkMs = 100;

function settle<Packet, P extends Producer<Packet>>(pacer: Pacer<Packet, P>, connection: P): void {
  pacer.settle(connection);
}
