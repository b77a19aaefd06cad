/** The bounds on what may wait in send queues. */
export interface SendQueueBounds {
  /** For one connection, in bytes. */
  sendQueueMaxBytes: number;
  /** In milliseconds. */
  sendQueueAgeMs: number;
  /** For all connections together, in bytes. */
  memoryMaxBytes: number;
}

/** A connection as its send queue shows it. */
export interface Consumer {
  /** What waits for it in this process, in bytes; 0 once it is closed. */
  readonly queuedBytes: number;
  /** Whether it may still read something. */
  readonly isThere: boolean;
  /** Whether the kernel takes what is sent to it until its buffers are full. A client that polls has to ask first. */
  readonly isStream: boolean;
  /** When a client that polls last read something, by the clock of {@link SlowConsumers}. */
  readAt?: number;
  /** Gives the client more time for a heartbeat whose answer may be behind what it has not read. */
  keepAlive(): void;
}

const sweepMs = 100;
const ageEveryMs = 1_000;

/**
 * A client that has read nothing for this long does not read at all. The kernel reports a slow reader only when a
 * good part of a socket's buffer is free again, often more than 1 MB: at 0.3 MB/s that is every five seconds.
 */
const longestSilenceMs = 8_000;

/** Senders wait only for clients that read something within this time. */
const longestPauseMs = 500;

/** Senders wait for one client no longer than this before it has caught up. */
const longestCatchUpMs = 5_000;

/** Beyond this many times `sendQueueMaxBytes` a client must read within a shorter time, and get below it in the end. */
const excessFactor = 8;
const longestExcessSilenceMs = 2_000;
const longestExcessMs = 5_000;

/** A sender that does not poll at all is waited for no longer than this. */
const longestAbsenceMs = 1_000;

/** A connection that has not read what it was sent. Times are by the clock of {@link SlowConsumers}. */
interface Behind {
  /** When it last read something, or fell behind. */
  since: number;
  /** Whether it has read something since it fell behind, or just before. */
  hasRead: boolean;
  /** Since when senders have waited for it, until it has caught up. */
  pressingSince?: number | undefined;
  /** Since when it has been over what a reader may have waiting. */
  overSince?: number | undefined;
}

/**
 * Bounds what connections were sent and have not read. Only those that are behind are kept, so that a client that
 * reads costs nothing.
 *
 * The bounds are applied by a timer, after the event loop has turned: by then a client that reads has taken what
 * the kernel holds.
 */
export class SlowConsumers<C extends Consumer> {
  /** Called with a connection that has caught up, and that senders may have been waiting for. */
  onCaughtUp: (consumer: C) => void = () => {};
  readonly #behind = new Map<C, Behind>();
  readonly #bounds: SendQueueBounds;
  readonly #end: (consumer: C) => void;
  readonly #timer: NodeJS.Timeout;
  /** Added since all queues were last counted. */
  #uncountedBytes = 0;
  #isCounting = false;
  #pressing: C | undefined;
  /** Milliseconds, standing still while the event loop is blocked: nobody can read then. */
  #now = 0;

  /** @param end is called with each connection that is over a bound */
  constructor(bounds: SendQueueBounds, end: (consumer: C) => void) {
    this.#bounds = bounds;
    this.#end = end;
    this.#timer = setInterval(() => {
      this.#now += sweepMs;
      // After the poll phase, in which the kernel reports what was taken.
      if (this.#behind.size > 0) setImmediate(() => this.#sweep());
    }, sweepMs).unref();
  }

  /** So many more bytes wait for a connection, or may. */
  queued(consumer: C, bytes: number): void {
    if (!this.#behind.has(consumer)) {
      this.#behind.set(consumer, { since: this.#now, hasRead: this.#hasJustRead(consumer) });
    }
    if (consumer.queuedBytes > this.#bounds.sendQueueMaxBytes / 2) this.#pressing = consumer;
    this.#uncountedBytes += bytes;
    // Often enough that the bound is not exceeded by much, seldom enough to cost little.
    if (this.#uncountedBytes <= this.#bounds.memoryMaxBytes / 64 || this.#isCounting) return;
    this.#isCounting = true;
    setImmediate(() => this.#count());
  }

  /** A connection has read some of what was sent to it. */
  read(consumer: C): void {
    if (!consumer.isStream) consumer.readAt = this.#now;
    const bytes = consumer.queuedBytes;
    const behind = this.#behind.get(consumer);
    if (bytes === 0) this.#behind.delete(consumer);
    else {
      if (behind) Object.assign(behind, { since: this.#now, hasRead: true });
      else this.#behind.set(consumer, { since: this.#now, hasRead: true });
      consumer.keepAlive();
    }
    if (behind?.pressingSince === undefined || bytes > this.#bounds.sendQueueMaxBytes / 4) return;
    behind.pressingSince = undefined;
    this.onCaughtUp(consumer);
  }

  /** Forgets who was found far behind so far. */
  clearPressing(): void {
    this.#pressing = undefined;
  }

  /**
   * A connection that is far behind although it reads, among those that were sent something since
   * {@link clearPressing}: whoever sent it should wait until {@link isPressing} no longer holds.
   */
  takePressing(): C | undefined {
    const consumer = this.#pressing;
    this.#pressing = undefined;
    const behind = consumer && this.#behind.get(consumer);
    if (!behind) return undefined;
    behind.pressingSince ??= this.#now;
    return this.isPressing(consumer) ? consumer : undefined;
  }

  /** Whether senders should wait for a connection: it has more than a quarter of its bound to read, and reads it. */
  isPressing(consumer: C): boolean {
    const behind = this.#behind.get(consumer);
    if (behind?.pressingSince === undefined || !behind.hasRead || !consumer.isThere) return false;
    if (consumer.queuedBytes <= this.#bounds.sendQueueMaxBytes / 4) return false;
    return this.#now - behind.since <= longestPauseMs && this.#now - behind.pressingSince <= longestCatchUpMs;
  }

  /**
   * Whether a sender has so much of its own to read that it should send no more before. One that reads nothing of
   * more than its bound is ended.
   */
  mustCatchUp(sender: C): boolean {
    const behind = this.#behind.get(sender);
    if (!behind || !sender.isThere) return false;
    const { sendQueueMaxBytes } = this.#bounds;
    const bytes = sender.queuedBytes;
    if (bytes <= sendQueueMaxBytes / (behind.pressingSince === undefined ? 2 : 4)) return false;
    behind.pressingSince ??= this.#now;
    const patienceMs = behind.hasRead ? longestSilenceMs : longestAbsenceMs;
    if (this.#now - behind.since <= patienceMs) return true;
    if (bytes > sendQueueMaxBytes) this.#end(sender);
    return false;
  }

  /** Whether a connection is still reading what it was sent. */
  isReading(consumer: C): boolean {
    const behind = this.#behind.get(consumer);
    return behind !== undefined && consumer.queuedBytes > 0 && this.#reads(behind);
  }

  /** Of all connections together, and of the worst. */
  get bytes(): { total: number; worst: number } {
    let [total, worst] = [0, 0];
    for (const { queuedBytes } of this.#behind.keys()) {
      total += queuedBytes;
      worst = Math.max(worst, queuedBytes);
    }
    return { total, worst };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#behind.clear();
  }

  /** Whether a connection that falls behind was reading just before. */
  #hasJustRead({ isStream, readAt }: C): boolean {
    // Between two polls a client has nothing that it could read.
    return isStream || (readAt !== undefined && this.#now - readAt <= longestPauseMs);
  }

  #reads({ since }: Behind): boolean {
    return this.#now - since <= longestSilenceMs;
  }

  #sweep(): void {
    for (const [consumer, behind] of this.#behind) {
      const bytes = consumer.queuedBytes;
      if (bytes === 0) this.#behind.delete(consumer);
      else if (this.#isSlow(behind, bytes)) this.#end(consumer);
    }
    this.#count();
  }

  #isSlow(behind: Behind, bytes: number): boolean {
    const { sendQueueMaxBytes, sendQueueAgeMs } = this.#bounds;
    if (this.#now % ageEveryMs === 0 && this.#now - behind.since > sendQueueAgeMs) return true;
    if (bytes > sendQueueMaxBytes && !this.#reads(behind)) return true;
    if (bytes <= excessFactor * sendQueueMaxBytes) {
      behind.overSince = undefined;
      return false;
    }
    behind.overSince ??= this.#now;
    return (
      this.#now - behind.since > longestExcessSilenceMs || this.#now - behind.overSince > longestExcessMs
    );
  }

  /** Counts all queues, and ends the worst until the rest is within the bound; those that do not read first. */
  #count(): void {
    this.#isCounting = false;
    this.#uncountedBytes = 0;
    let { total } = this.bytes;
    if (total <= this.#bounds.memoryMaxBytes) return;
    const worstFirst = [...this.#behind]
      .map(([consumer, behind]) => ({ consumer, bytes: consumer.queuedBytes, reads: this.#reads(behind) }))
      .sort((a, b) => Number(a.reads) - Number(b.reads) || b.bytes - a.bytes);
    for (const { consumer, bytes } of worstFirst) {
      if (total <= this.#bounds.memoryMaxBytes) return;
      this.#end(consumer);
      total -= bytes;
    }
  }
}
