import { nextTick } from "node:process";
import { ByteRate, type ByteRateBounds } from "./byte-rate.ts";
import type { Consumer, SlowConsumers } from "./slow-consumers.ts";

/** A connection that sends packets, each of `length` bytes or characters. */
export interface Producer<Packet> extends Consumer {
  /** Whether it has not been closed, by either side. */
  readonly isOpen: boolean;
  /** Whether nothing more of it is to be handled. */
  readonly isClosed: boolean;
  lengthOf(packet: Packet): number;
  handle(packet: Packet): void;
  /** Reads no more of it until {@link resume}. */
  pause(): void;
  resume(): void;
}

/** What the events of one connection may cause to be sent in one turn of the event loop, in bytes. */
const connectionWorkBytes = 4_000_000;

/** What all connections' events together may. */
const turnWorkBytes = 32_000_000;

/** What each copy of a message costs beside its bytes. */
export const copyBytes = 64;

/**
 * A connection waits for slow readers only if it sends much: beyond a burst and a rate, both parts of `sendQueueMaxBytes`.
 * Else one who reads slowly, with a friend who fills its backlog, could hold up whoever says a word in its rooms.
 */
const quietBurstPart = 1 / 16;
const quietRatePart = 1 / 64;

/** The time for which a connection may wait for slow readers before what it sent is handled regardless. */
const longestHoldMs = 5_000;

/** While packets are short, so many of one chunk are handled before what they have caused is looked at. */
const batchPackets = 8;
const batchChars = 2_048;

/** Packets of one connection that wait until the ones before them were handled. */
class Inbox<Packet> {
  readonly packets: Packet[] = [];
  next = 0;
  /** Called once nothing waits any more. */
  readonly idle: (() => void)[] = [];
  /** When it first waited for a reader, in milliseconds of `performance.now()`. */
  heldSince?: number;
}

/**
 * Handles the packets of each connection one after the other, and makes connections wait whose events cause more to be
 * sent than others can bear: until the next turn of the event loop once they have used up their share of this one, and
 * until a member of their rooms that is reading, or they themselves, have caught up. Nothing more is read of a connection that waits.
 */
export class Pacer<Packet, P extends Producer<Packet>> {
  /** What was sent so far, in bytes: each copy counts. Those who send add to it. */
  workBytes = 0;
  /** The same, but counted once for each room, as a member of all of them receives it. */
  spokenBytes = 0;
  readonly #consumers: SlowConsumers<P>;
  readonly #maxHoldMs: number;
  /** Connections with packets that wait, or that are held back. */
  readonly #inboxes = new Map<P, Inbox<Packet>>();
  /** The connection whose packets are being handled in this tick, how many, and their length. */
  #busy: P | undefined;
  #batched = 0;
  #batchedChars = 0;
  /** Whether the last of them has come since {@link settle} was put behind them. */
  #isGrown = false;
  /** What had been sent as the packet came. */
  #packetStart = 0;
  #spokenStart = 0;
  #turnStart = 0;
  /** What connections have caused in this turn; counted once the turn is a busy one. */
  readonly #caused = new Map<P, number>();
  #nextTurn: P[] = [];
  /** Connections that have waited for this turn. */
  #ready: P[] = [];
  #endsTurn = false;
  /** Connections that wait for a reader, by the reader. */
  readonly #waiting = new Map<P, P[]>();
  #timer: NodeJS.Timeout | undefined;
  #isOpen = true;
  /** What connections have sent lately to rooms with slow readers. */
  readonly #quiet = new WeakMap<P, ByteRate>();
  readonly #quietBounds: ByteRateBounds;

  /** @param pingTimeoutMs a client that is held back hears from the server, and is heard, within that time */
  constructor(consumers: SlowConsumers<P>, sendQueueMaxBytes: number, pingTimeoutMs: number) {
    this.#consumers = consumers;
    this.#quietBounds = {
      burstBytes: sendQueueMaxBytes * quietBurstPart,
      bytesPerSecond: sendQueueMaxBytes * quietRatePart,
    };
    this.#maxHoldMs = Math.min(longestHoldMs, pingTimeoutMs / 2);
    consumers.onCaughtUp = (reader) => this.#release(reader);
  }

  /** A packet has come; it is handled at once unless something of its connection waits. */
  receive(connection: P, packet: Packet): void {
    const inbox = this.#inboxes.size > 0 ? this.#inboxes.get(connection) : undefined;
    if (inbox) {
      inbox.packets.push(packet);
      // It may have upgraded to another transport while it was held back.
      if (this.#busy !== connection) this.#hold(connection);
    } else if (this.#busy === undefined ? !this.#isSpent : this.#fitsBatch(connection, packet))
      this.#handle(connection, packet);
    else {
      this.#inboxFor(connection).packets.push(packet);
      // The busy one goes on by itself.
      if (this.#busy !== connection) this.#waitForTurn(connection);
    }
  }

  /** Calls back once all packets that came so far were handled; at once where none waits. */
  whenIdle(connection: P, done: () => void): void {
    const isBusy = this.#busy === connection || this.#inboxes.has(connection);
    if (isBusy) this.#inboxFor(connection).idle.push(done);
    else done();
  }

  /** Nothing that was received waits to be handled. */
  get isIdle(): boolean {
    return this.#inboxes.size === 0;
  }

  /** From now on nobody waits for readers. */
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
      this.#packetStart = this.workBytes;
      this.#spokenStart = this.spokenBytes;
      this.#batched = 0;
      this.#batchedChars = 0;
      this.#consumers.clearPressing();
    }
    this.#batched++;
    this.#batchedChars += connection.lengthOf(packet);
    this.#isGrown = !isFirst;
    try {
      connection.handle(packet);
    } finally {
      // Socket.IO handles an event in the next tick; this comes right behind it.
      if (isFirst) nextTick(settle, this, connection);
    }
  }

  /** Packets were handled: decides whether their connection may go on. */
  settle(connection: P): void {
    if (this.#isGrown) {
      // Behind the ticks of those that came later.
      this.#isGrown = false;
      nextTick(settle, this, connection);
      return;
    }
    this.#busy = undefined;
    const caused = this.workBytes - this.#packetStart;
    if (caused > 0 && !this.#endsTurn) this.#endTurnLater();
    const hasSpentShare = caused > 0 && this.#hasSpentShare(connection, caused);
    const reader = this.#readerFor(connection);
    if (!reader || !this.#holdFor(connection, reader)) {
      if (hasSpentShare) this.#waitForTurn(connection);
      else if (this.#inboxes.size > 0) this.#goOn(connection);
    }
    if (this.#ready.length > 0) this.#goOnWithReady();
  }

  /** The connection that has to catch up before another one goes on. */
  #readerFor(connection: P): P | undefined {
    if (this.#consumers.mustCatchUp(connection)) return connection;
    const reader = this.#consumers.takePressing();
    if (!reader) return undefined;
    const now = performance.now();
    const quiet = this.#quiet.get(connection) ?? new ByteRate(this.#quietBounds, now);
    this.#quiet.set(connection, quiet);
    return quiet.take(this.spokenBytes - this.#spokenStart, now) > 0 ? reader : undefined;
  }

  /** Handles the next packet that waits, if there is one. */
  #goOn(connection: P): void {
    const inbox = this.#inboxes.get(connection);
    if (!inbox) return;
    const packet = inbox.packets[inbox.next];
    if (!packet || connection.isClosed) this.#leave(connection, inbox);
    else if (this.#isSpent) this.#waitForTurn(connection);
    else {
      inbox.next++;
      this.#handle(connection, packet);
    }
  }

  /** Nothing of a connection waits any more. */
  #leave(connection: P, inbox: Inbox<Packet>): void {
    this.#inboxes.delete(connection);
    connection.resume();
    for (const done of inbox.idle) done();
  }

  /** Handles packets of connections whose turn has come, until one of them is to be settled. */
  #goOnWithReady(): void {
    while (this.#busy === undefined && this.#ready.length > 0) this.#goOn(this.#ready.shift() as P);
  }

  #hasSpentShare(connection: P, caused: number): boolean {
    // While the turn is quiet no connection can have used up its share.
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

  /** Makes a connection wait, and reads no more of it. */
  #hold(connection: P): Inbox<Packet> {
    const inbox = this.#inboxFor(connection);
    connection.pause();
    return inbox;
  }

  #waitForTurn(connection: P): void {
    this.#hold(connection);
    this.#nextTurn.push(connection);
    if (!this.#endsTurn) this.#endTurnLater();
  }

  #endTurnLater(): void {
    this.#endsTurn = true;
    setImmediate(() => this.#endTurn());
  }

  /** Behind the flush of all send queues. */
  #endTurn(): void {
    this.#endsTurn = false;
    this.#turnStart = this.workBytes;
    this.#caused.clear();
    this.#ready = this.#ready.length > 0 ? [...this.#ready, ...this.#nextTurn] : this.#nextTurn;
    this.#nextTurn = [];
    this.#goOnWithReady();
  }

  /** @returns false if the connection has waited long enough */
  #holdFor(connection: P, reader: P): boolean {
    if (!this.#isOpen || !connection.isOpen) return false;
    const now = performance.now();
    const inbox = this.#hold(connection);
    inbox.heldSince ??= now;
    if (reader !== connection && now - inbox.heldSince > this.#maxHoldMs) return false;
    const others = this.#waiting.get(reader);
    if (others) others.push(connection);
    else this.#waiting.set(reader, [connection]);
    this.#timer ??= setInterval(() => this.#look(), lookMs).unref();
    return true;
  }

  /** Releases those who have waited long enough, or for a reader that has stopped reading. */
  #look(): void {
    const now = performance.now();
    for (const [reader, connections] of this.#waiting) {
      const isLate = (connection: P) =>
        !connection.isOpen ||
        (connection !== reader && now - (this.#inboxes.get(connection)?.heldSince ?? 0) > this.#maxHoldMs);
      const waitsForItself = connections.includes(reader);
      // Its heartbeat is not read meanwhile, but it takes what it was sent.
      if (waitsForItself) reader.keepAlive();
      const isFarBehind = waitsForItself
        ? this.#consumers.mustCatchUp(reader)
        : this.#consumers.isPressing(reader);
      if (!isFarBehind || connections.some(isLate)) this.#release(reader);
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

const lookMs = 100;

function settle<Packet, P extends Producer<Packet>>(pacer: Pacer<Packet, P>, connection: P): void {
  pacer.settle(connection);
}
