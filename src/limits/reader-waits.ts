import { ByteRate, type ByteRateBounds } from "./byte-rate.ts";
import type { Inbox } from "./inbox.ts";
import type { Producer } from "./producer.ts";
import type { SlowConsumers } from "./slow-consumers.ts";

/**
 * A connection waits for slow readers only if it sends more than an allowance: a burst and a rate, both
 * fractions of `sendQueueMaxBytes`. Otherwise a slow reader, with an accomplice who fills its backlog, could
 * hold up every sender in its rooms.
 */
const allowanceBurstPart = 1 / 16;
const allowanceRatePart = 1 / 64;

/** How long a connection may wait for slow readers until its packets are handled anyway, in milliseconds. */
const longestHoldMs = 5_000;

const checkMs = 100;

/** A connection that waits for a reader. */
interface Waiting<P> {
  connection: P;
  inbox: Inbox<unknown>;
}

/**
 * The connections that wait until a slow reader has caught up: senders to its rooms, or the reader itself if
 * it sends. They are released once the reader has caught up or has stopped reading, or after some seconds.
 */
export class ReaderWaits<P extends Producer<never>> {
  readonly #consumers: SlowConsumers<P>;
  readonly #maxHoldMs: number;
  readonly #onReleased: (connection: P) => void;
  readonly #waiting = new Map<P, Waiting<P>[]>();
  /** How much each connection may still send to rooms with slow readers before it has to wait. */
  readonly #allowances = new WeakMap<P, ByteRate>();
  readonly #allowanceBounds: ByteRateBounds;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = true;

  /**
   * @param pingTimeoutMs a connection is held back for half of it at most, so that heartbeats get through
   * @param onReleased called with each connection that need not wait any longer
   */
  constructor(
    consumers: SlowConsumers<P>,
    sendQueueMaxBytes: number,
    pingTimeoutMs: number,
    onReleased: (connection: P) => void,
  ) {
    this.#consumers = consumers;
    this.#onReleased = onReleased;
    this.#allowanceBounds = {
      burstBytes: sendQueueMaxBytes * allowanceBurstPart,
      bytesPerSecond: sendQueueMaxBytes * allowanceRatePart,
    };
    this.#maxHoldMs = Math.min(longestHoldMs, pingTimeoutMs / 2);
    consumers.onCaughtUp = (reader) => this.#release(reader);
  }

  /**
   * The reader that has to catch up before the given connection may continue.
   *
   * @param bytes what the connection has just sent, in bytes, each message counted once
   */
  readerFor(connection: P, bytes: number): P | undefined {
    if (this.#consumers.mustCatchUp(connection)) return connection;
    const reader = this.#consumers.takeCongested();
    if (!reader) return undefined;
    const now = performance.now();
    const allowance = this.#allowances.get(connection) ?? new ByteRate(this.#allowanceBounds, now);
    this.#allowances.set(connection, allowance);
    return allowance.take(bytes, now) > 0 ? reader : undefined;
  }

  /** Whether a connection has to wait for a reader now. */
  mayHold(connection: P): boolean {
    return this.#isOpen && connection.isReachable;
  }

  /**
   * Makes a connection wait for a reader.
   *
   * @returns false if the connection has waited long enough
   */
  add(connection: P, reader: P, inbox: Inbox<unknown>): boolean {
    inbox.heldSince ??= performance.now();
    if (reader !== connection && this.#isOverdue(inbox)) return false;
    const others = this.#waiting.get(reader);
    if (others) others.push({ connection, inbox });
    else this.#waiting.set(reader, [{ connection, inbox }]);
    this.#timer ??= setInterval(() => this.#check(), checkMs).unref();
    return true;
  }

  /** Releases all connections. From now on none waits. */
  close(): void {
    this.#isOpen = false;
    for (const reader of [...this.#waiting.keys()]) this.#release(reader);
    clearInterval(this.#timer);
  }

  #isOverdue({ heldSince = 0 }: Inbox<unknown>): boolean {
    return performance.now() - heldSince > this.#maxHoldMs;
  }

  /** Releases connections that have waited long enough, or whose reader has caught up or stopped reading. */
  #check(): void {
    for (const [reader, waiting] of this.#waiting) {
      const waitsForItself = waiting.some(({ connection }) => connection === reader);
      // The server does not read its heartbeats meanwhile, but the client reads what it was sent.
      if (waitsForItself) reader.keepAlive();
      const isFarBehind = waitsForItself
        ? this.#consumers.mustCatchUp(reader)
        : this.#consumers.isCongested(reader);
      const mayContinue = ({ connection, inbox }: Waiting<P>) =>
        !connection.isReachable || (connection !== reader && this.#isOverdue(inbox));
      if (!isFarBehind || waiting.some(mayContinue)) this.#release(reader);
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #release(reader: P): void {
    const waiting = this.#waiting.get(reader);
    if (!waiting) return;
    this.#waiting.delete(reader);
    for (const { connection } of waiting) {
      connection.keepAlive();
      this.#onReleased(connection);
    }
  }
}
