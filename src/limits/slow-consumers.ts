import type { Consumer } from "./consumer.ts";
import { ReadyWaits } from "./ready-waits.ts";

/** Limits on what may wait in send queues. */
export interface SendQueueBounds {
  /** Limit for one connection, in bytes. */
  sendQueueMaxBytes: number;
  /** How long a connection with a non-empty send queue may read nothing, in milliseconds. */
  sendQueueAgeMs: number;
  /** Limit for all connections together, in bytes. */
  memoryMaxBytes: number;
}

const sweepMs = 100;
const ageCheckMs = 1_000;

/**
 * A client that has read nothing for this long counts as not reading. The kernel reports progress only when a
 * good part of a socket's buffer is free again, often more than 1 MB: for a client at 0.3 MB/s, every five
 * seconds.
 */
const longestSilenceMs = 8_000;

/** Senders wait only for clients that have read something within this time. */
const longestPauseMs = 500;

/** Senders wait no longer than this for one client to catch up. */
const longestCatchUpMs = 5_000;

/** Above this multiple of `sendQueueMaxBytes`, a client must read sooner and must eventually get below it. */
const excessFactor = 8;
const longestExcessSilenceMs = 2_000;
const longestExcessMs = 5_000;

/** A sender that does not poll at all is held back no longer than this. */
const longestAbsenceMs = 1_000;

/** A connection that has not read all it was sent. Times are by the clock of {@link SlowConsumers}. */
interface Lag {
  /** When the connection last read something, or fell behind. */
  since: number;
  /** Whether the connection has read something since it fell behind, or just before. */
  hasRead: boolean;
  /** Since when senders have waited for the connection; undefined once it has caught up. */
  congestedSince?: number | undefined;
  /** Since when the queue has exceeded the limit that applies even to a client that reads. */
  overSince?: number | undefined;
}

/**
 * Limits how much data may wait for slow consumers. Only connections that lag behind are tracked, so a client
 * that keeps up costs nothing.
 *
 * A timer applies the limits, after the event loop has turned: by then a client that reads has taken what the
 * kernel holds.
 */
export class SlowConsumers<C extends Consumer> {
  /** Called with a connection that has caught up and that senders may have been waiting for. */
  onCaughtUp: (consumer: C) => void = () => {};
  readonly #lagging = new Map<C, Lag>();
  readonly #waits = new ReadyWaits<C>();
  readonly #bounds: SendQueueBounds;
  readonly #end: (consumer: C) => void;
  readonly #timer: NodeJS.Timeout;
  /** Bytes queued since all queues were last counted. */
  #uncountedBytes = 0;
  #isCounting = false;
  #congested: C | undefined;
  /** Clock in milliseconds. It stops while the event loop is blocked, because no client can read then. */
  #now = 0;

  /** @param end called with each connection that exceeds a limit */
  constructor(bounds: SendQueueBounds, end: (consumer: C) => void) {
    this.#bounds = bounds;
    this.#end = end;
    this.#timer = setInterval(() => {
      this.#now += sweepMs;
      // After the poll phase, in which the kernel reports what clients have taken.
      if (this.#lagging.size + this.#waits.size > 0) setImmediate(() => this.#sweep());
    }, sweepMs).unref();
  }

  /** Records that more bytes wait, or may wait, for a connection. */
  queued(consumer: C, bytes: number): void {
    if (!this.#lagging.has(consumer)) {
      this.#lagging.set(consumer, { since: this.#now, hasRead: this.#hasJustRead(consumer) });
    }
    if (consumer.queuedBytes > this.#bounds.sendQueueMaxBytes / 2) this.#congested = consumer;
    this.#uncountedBytes += bytes;
    // Often enough that the limit is not exceeded by much, rarely enough to cost little.
    if (this.#uncountedBytes <= this.#bounds.memoryMaxBytes / 64 || this.#isCounting) return;
    this.#isCounting = true;
    setImmediate(() => this.#count());
  }

  /** Records that a connection has read some of what was sent to it. */
  read(consumer: C): void {
    if (!consumer.isStream) consumer.readAt = this.#now;
    const bytes = consumer.queuedBytes;
    const lag = this.#lagging.get(consumer);
    this.#waits.check(consumer);
    if (bytes === 0) this.#lagging.delete(consumer);
    else {
      if (lag) Object.assign(lag, { since: this.#now, hasRead: true });
      else this.#lagging.set(consumer, { since: this.#now, hasRead: true });
      consumer.keepAlive();
    }
    if (lag?.congestedSince === undefined || bytes > this.#bounds.sendQueueMaxBytes / 4) return;
    lag.congestedSince = undefined;
    this.onCaughtUp(consumer);
  }

  /** Resolves when at most `maxBytes` wait for a connection, or it is gone; undefined if that is so already. */
  whenRead(consumer: C, maxBytes: number): Promise<void> | undefined {
    return this.#waits.wait(consumer, maxBytes);
  }

  /** Forgets which connection was last found far behind. */
  clearCongested(): void {
    this.#congested = undefined;
  }

  /**
   * Returns a connection that is far behind although it reads, among those that were sent something since
   * {@link clearCongested}. The sender should wait until {@link isCongested} no longer holds.
   */
  takeCongested(): C | undefined {
    const consumer = this.#congested;
    this.#congested = undefined;
    const lag = consumer && this.#lagging.get(consumer);
    if (!lag) return undefined;
    lag.congestedSince ??= this.#now;
    return this.isCongested(consumer) ? consumer : undefined;
  }

  /** Whether senders should wait for a connection: it reads, and over a quarter of its limit is queued. */
  isCongested(consumer: C): boolean {
    const lag = this.#lagging.get(consumer);
    if (lag?.congestedSince === undefined || !lag.hasRead || !consumer.isReachable) return false;
    if (consumer.queuedBytes <= this.#bounds.sendQueueMaxBytes / 4) return false;
    return this.#now - lag.since <= longestPauseMs && this.#now - lag.congestedSince <= longestCatchUpMs;
  }

  /**
   * Whether a sender has so much unread data of its own that it should read before it sends more. A sender
   * that reads nothing and exceeds its limit is ended.
   */
  mustCatchUp(sender: C): boolean {
    const lag = this.#lagging.get(sender);
    if (!lag || !sender.isReachable) return false;
    const { sendQueueMaxBytes } = this.#bounds;
    const bytes = sender.queuedBytes;
    if (bytes <= sendQueueMaxBytes / (lag.congestedSince === undefined ? 2 : 4)) return false;
    lag.congestedSince ??= this.#now;
    const maxSilenceMs = lag.hasRead ? longestSilenceMs : longestAbsenceMs;
    if (this.#now - lag.since <= maxSilenceMs) return true;
    if (bytes > sendQueueMaxBytes) this.#end(sender);
    return false;
  }

  /** Whether a connection is still reading what it was sent. */
  isReading(consumer: C): boolean {
    const lag = this.#lagging.get(consumer);
    return lag !== undefined && consumer.queuedBytes > 0 && this.#reads(lag);
  }

  /** Bytes queued for all connections together, and for the worst one. */
  get bytes(): { total: number; worst: number } {
    let [total, worst] = [0, 0];
    for (const { queuedBytes } of this.#lagging.keys()) {
      total += queuedBytes;
      worst = Math.max(worst, queuedBytes);
    }
    return { total, worst };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#lagging.clear();
    this.#waits.close();
  }

  /** Whether a connection that falls behind was reading just before. */
  #hasJustRead({ isStream, readAt }: C): boolean {
    // Between two polls there is nothing that a client could read.
    return isStream || (readAt !== undefined && this.#now - readAt <= longestPauseMs);
  }

  #reads({ since }: Lag): boolean {
    return this.#now - since <= longestSilenceMs;
  }

  #sweep(): void {
    this.#waits.checkAll();
    for (const [consumer, lag] of this.#lagging) {
      const bytes = consumer.queuedBytes;
      if (bytes === 0) this.#lagging.delete(consumer);
      else if (this.#isSlow(lag, bytes)) this.#end(consumer);
    }
    this.#count();
  }

  #isSlow(lag: Lag, bytes: number): boolean {
    const { sendQueueMaxBytes, sendQueueAgeMs } = this.#bounds;
    if (this.#now % ageCheckMs === 0 && this.#now - lag.since > sendQueueAgeMs) return true;
    if (bytes > sendQueueMaxBytes && !this.#reads(lag)) return true;
    if (bytes <= excessFactor * sendQueueMaxBytes) {
      lag.overSince = undefined;
      return false;
    }
    lag.overSince ??= this.#now;
    return this.#now - lag.since > longestExcessSilenceMs || this.#now - lag.overSince > longestExcessMs;
  }

  /** Counts all queues and ends the worst, first those not reading, until the total is within the limit. */
  #count(): void {
    this.#isCounting = false;
    this.#uncountedBytes = 0;
    let { total } = this.bytes;
    if (total <= this.#bounds.memoryMaxBytes) return;
    const worstFirst = [...this.#lagging]
      .map(([consumer, lag]) => ({ consumer, bytes: consumer.queuedBytes, reads: this.#reads(lag) }))
      .sort((a, b) => Number(a.reads) - Number(b.reads) || b.bytes - a.bytes);
    for (const { consumer, bytes } of worstFirst) {
      if (total <= this.#bounds.memoryMaxBytes) return;
      this.#end(consumer);
      total -= bytes;
    }
  }
}
