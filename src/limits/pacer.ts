import { nextTick } from "node:process";
import { Inbox } from "./inbox.ts";
import { PacketBatch } from "./packet-batch.ts";
import type { Producer } from "./producer.ts";
import { ReaderWaits } from "./reader-waits.ts";
import type { SlowConsumers } from "./slow-consumers.ts";

/** Bytes that the events of one connection may cause to be sent in one event loop turn. */
const connectionWorkBytes = 4_000_000;

/** Bytes that the events of all connections may cause to be sent in one event loop turn. */
const turnWorkBytes = 32_000_000;

/** Overhead of each copy of a message beyond its own bytes. */
export const copyBytes = 64;

/**
 * Handles the packets of each connection in order, and applies backpressure to connections whose events cause
 * too much to be sent. A connection that has used up its share of this event loop turn waits for the next
 * turn. A connection that sends to a slow reader in its rooms, or is a slow reader itself, waits until that
 * reader has caught up. Nothing is read from a connection that waits.
 */
export class Pacer<Packet, P extends Producer<Packet>> {
  /** Bytes sent so far, counting every copy. The code that sends adds to it. */
  workBytes = 0;
  /** Bytes of the messages sent so far, each counted once, however many copies were sent. */
  messageBytes = 0;
  readonly #consumers: SlowConsumers<P>;
  readonly #readerWaits: ReaderWaits<P>;
  /** Connections that have waiting packets or are held back. */
  readonly #inboxes = new Map<P, Inbox<Packet>>();
  readonly #batch = new PacketBatch<P>();
  /** The counter at the start of this event loop turn. */
  #turnStart = 0;
  /** Bytes that each connection has caused to be sent in this turn; counted only in a busy turn. */
  readonly #caused = new Map<P, number>();
  #nextTurn: P[] = [];
  /** Connections that waited for this turn. */
  #ready: P[] = [];
  #isTurnEndScheduled = false;

  /** @param pingTimeoutMs a connection is held back for half of it at most, so that heartbeats get through */
  constructor(consumers: SlowConsumers<P>, sendQueueMaxBytes: number, pingTimeoutMs: number) {
    this.#consumers = consumers;
    this.#readerWaits = new ReaderWaits(consumers, sendQueueMaxBytes, pingTimeoutMs, (connection) =>
      this.#waitForTurn(connection),
    );
  }

  /** Handles a received packet at once, or queues it if its connection has to wait. */
  receive(connection: P, packet: Packet): void {
    const inbox = this.#inboxes.size > 0 ? this.#inboxes.get(connection) : undefined;
    const busy = this.#batch.connection;
    if (inbox) {
      inbox.add(packet);
      // The connection may have upgraded while it was held back: its new transport must be paused too.
      if (busy !== connection) this.#hold(connection);
    } else if (
      busy === undefined ? !this.#isSpent : this.#batch.fits(connection, connection.lengthOf(packet))
    )
      this.#handle(connection, packet);
    else {
      this.#inboxFor(connection).add(packet);
      // The busy connection continues by itself.
      if (busy !== connection) this.#waitForTurn(connection);
    }
  }

  /** Calls back once all packets received so far are handled; at once if none waits. */
  whenIdle(connection: P, done: () => void): void {
    const isBusy = this.#batch.connection === connection || this.#inboxes.has(connection);
    if (isBusy) this.#inboxFor(connection).whenIdle(done);
    else done();
  }

  /**
   * Handles no further packet of a connection, and reads none, until a step is done: what its later events cause must
   * be charged in the turn in which they are handled.
   */
  waitFor(connection: P, step: Promise<unknown>): void {
    const inbox = this.#hold(connection);
    inbox.pendingSteps++;
    connection.keepAlive();
    const done = () => {
      connection.keepAlive();
      if (--inbox.pendingSteps === 0) this.#waitForTurn(connection);
    };
    void step.then(done, done);
  }

  /** Whether no received packet waits to be handled. */
  get isIdle(): boolean {
    return this.#inboxes.size === 0;
  }

  /** Releases all connections that wait for readers. From now on none waits. */
  close(): void {
    this.#readerWaits.close();
  }

  get #isSpent(): boolean {
    return this.workBytes - this.#turnStart > turnWorkBytes;
  }

  #handle(connection: P, packet: Packet): void {
    const isFirst = this.#batch.connection === undefined;
    if (isFirst) {
      this.#batch.begin(connection, this.workBytes, this.messageBytes);
      this.#consumers.clearCongested();
    }
    this.#batch.add(connection.lengthOf(packet));
    try {
      connection.handle(packet);
    } finally {
      // Socket.IO handles an event in the next tick; `settle` runs right after it.
      if (isFirst) nextTick(settle, this, connection);
    }
  }

  /** Decides, after packets were handled, whether their connection may continue. */
  settle(connection: P): void {
    const batch = this.#batch;
    if (batch.hasGrown) {
      // Run after the ticks of the packets that were added.
      batch.hasGrown = false;
      nextTick(settle, this, connection);
      return;
    }
    batch.connection = undefined;
    const caused = this.workBytes - batch.workBytesBefore;
    if (caused > 0 && !this.#isTurnEndScheduled) this.#endTurnLater();
    const hasSpentShare = caused > 0 && this.#hasSpentShare(connection, caused);
    const reader = this.#readerWaits.readerFor(connection, this.messageBytes - batch.messageBytesBefore);
    if (!reader || !this.#holdFor(connection, reader)) {
      if (hasSpentShare) this.#waitForTurn(connection);
      else if (this.#inboxes.size > 0) this.#handleNext(connection);
    }
    if (this.#ready.length > 0) this.#handleReady();
  }

  /** @returns false if the connection need not wait for the reader, or has waited long enough */
  #holdFor(connection: P, reader: P): boolean {
    if (!this.#readerWaits.mayHold(connection)) return false;
    return this.#readerWaits.add(connection, reader, this.#hold(connection));
  }

  /** Handles the connection's next waiting packet, if any. */
  #handleNext(connection: P): void {
    const inbox = this.#inboxes.get(connection);
    if (!inbox) return;
    if (inbox.pendingSteps > 0) return;
    if (inbox.isEmpty || connection.isClosed) this.#resume(connection, inbox);
    else if (this.#isSpent) this.#waitForTurn(connection);
    else this.#handle(connection, inbox.take());
  }

  /** Reads again from a connection that has no waiting packets any more. */
  #resume(connection: P, inbox: Inbox<Packet>): void {
    this.#inboxes.delete(connection);
    connection.resume();
    inbox.reportIdle();
  }

  /** Handles packets of connections whose turn has come, until one of them has to be settled. */
  #handleReady(): void {
    while (this.#batch.connection === undefined && this.#ready.length > 0)
      this.#handleNext(this.#ready.shift() as P);
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
}

function settle<Packet, P extends Producer<Packet>>(pacer: Pacer<Packet, P>, connection: P): void {
  pacer.settle(connection);
}
