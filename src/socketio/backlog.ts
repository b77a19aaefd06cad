import type { EngineSocket } from "./engine.ts";
import { OutboxTransport } from "./outbox.ts";
import type { Polling } from "./polling.ts";

/** What may wait, in bytes and milliseconds. */
export interface BacklogBounds {
  /** For one connection. */
  sendQueueMaxBytes: number;
  sendQueueAgeMs: number;
  /** For all together. */
  memoryMaxBytes: number;
}

/** What a packet that waits costs beside its data, in bytes. */
export const packetBytes = 256;

const sweepMs = 100;
const ageEveryMs = 1_000;

/**
 * A client that took nothing for so long does not read. The kernel tells of a slow reader only when it has taken a good
 * part of a socket's buffer, often more than 1 MB: at 0.3 MB/s that is every five seconds.
 */
const longestSilenceMs = 8_000;

/** Senders wait only for clients that took something within this time. */
const longestPauseMs = 500;

/** Senders wait for one client no longer than this before it has caught up. */
const longestCatchUpMs = 5_000;

/** Beyond so many times `sendQueueMaxBytes` a client must take something within a shorter time, and get below it in the end. */
const excessFactor = 8;
const longestExcessSilenceMs = 2_000;
const longestExcessMs = 5_000;

/** A sender that does not poll at all is waited for no longer than this. */
const longestAbsenceMs = 1_000;

/** A connection that has not taken what it was sent. Times are by the clock of {@link Backlog}. */
interface Behind {
  /** When it last took something, or fell behind. */
  since: number;
  /** Whether it has taken something since it fell behind, or just before. */
  hasTaken: boolean;
  /** Since when senders have waited for it, until it has caught up. */
  pressingSince?: number | undefined;
  /** Since when it has been over what a reader may have waiting. */
  overSince?: number | undefined;
}

/**
 * What connections were sent and have not taken, and the bounds on it. Only those that are behind are in it, so that
 * one that reads costs nothing.
 *
 * Bounds are applied by a timer, after the event loop has turned: by then whoever reads has taken what the kernel holds.
 */
export class Backlog {
  /** Called with a connection that has caught up, that senders may have been waiting for. */
  onCaughtUp: (connection: EngineSocket) => void = () => {};
  readonly #behind = new Map<EngineSocket, Behind>();
  readonly #bounds: BacklogBounds;
  readonly #end: (connection: EngineSocket) => void;
  readonly #timer: NodeJS.Timeout;
  /** What was added since all was last counted. */
  #unweighed = 0;
  #weighing = false;
  #pressing: EngineSocket | undefined;
  /** Milliseconds, standing still while the event loop is blocked: nobody can read then. */
  #now = 0;

  /** @param end is handed each connection that is over a bound */
  constructor(bounds: BacklogBounds, end: (connection: EngineSocket) => void) {
    this.#bounds = bounds;
    this.#end = end;
    this.#timer = setInterval(() => {
      this.#now += sweepMs;
      // Behind the poll phase, in which the kernel tells what was taken.
      if (this.#behind.size > 0) setImmediate(() => this.#sweep());
    }, sweepMs).unref();
  }

  /** A packet is about to wait in the buffer of its connection. */
  wait(connection: EngineSocket, dataBytes: number): void {
    const size = packetBytes + dataBytes;
    connection.waitingBytes =
      connection.writeBuffer.length === 0 ? size : (connection.waitingBytes ?? 0) + size;
    this.left(connection, size);
  }

  /** So much more is left behind for a connection, or may be. */
  left(connection: EngineSocket, bytes: number): void {
    if (!this.#behind.has(connection)) {
      this.#behind.set(connection, { since: this.#now, hasTaken: this.#hasJustTaken(connection) });
    }
    if (pendingBytes(connection) > this.#bounds.sendQueueMaxBytes / 2) this.#pressing = connection;
    this.#unweighed += bytes;
    // Often enough that the bound is not passed by much, seldom enough to cost little.
    if (this.#unweighed <= this.#bounds.memoryMaxBytes / 64 || this.#weighing) return;
    this.#weighing = true;
    setImmediate(() => this.#weigh());
  }

  /** A connection has taken some of what was written to it. */
  took(connection: EngineSocket): void {
    if (!(connection.transport instanceof OutboxTransport)) {
      (connection.transport as Partial<Polling>).takenAt = this.#now;
    }
    const bytes = pendingBytes(connection);
    const behind = this.#behind.get(connection);
    if (bytes === 0) this.#behind.delete(connection);
    else {
      if (behind) Object.assign(behind, { since: this.#now, hasTaken: true });
      else this.#behind.set(connection, { since: this.#now, hasTaken: true });
      keepAlive(connection);
    }
    if (behind?.pressingSince === undefined || bytes > this.#bounds.sendQueueMaxBytes / 4) return;
    behind.pressingSince = undefined;
    this.onCaughtUp(connection);
  }

  /** A connection is over its bound in a way that is not counted here. */
  over(connection: EngineSocket): void {
    this.#end(connection);
  }

  /** Forgets who was found far behind so far. */
  clearPressing(): void {
    this.#pressing = undefined;
  }

  /**
   * A connection that is far behind although it reads, among those that were sent something since {@link clearPressing}:
   * whoever sent it should wait until {@link isPressing} no longer holds.
   */
  takePressing(): EngineSocket | undefined {
    const connection = this.#pressing;
    this.#pressing = undefined;
    const behind = connection && this.#behind.get(connection);
    if (!behind) return undefined;
    behind.pressingSince ??= this.#now;
    return this.isPressing(connection) ? connection : undefined;
  }

  /** Whether senders should wait for a connection: it has more than a quarter of its bound to take, and takes it. */
  isPressing(connection: EngineSocket): boolean {
    const behind = this.#behind.get(connection);
    if (behind?.pressingSince === undefined || !behind.hasTaken || !isThere(connection)) return false;
    if (pendingBytes(connection) <= this.#bounds.sendQueueMaxBytes / 4) return false;
    return this.#now - behind.since <= longestPauseMs && this.#now - behind.pressingSince <= longestCatchUpMs;
  }

  /**
   * Whether a sender has so much of its own to take that it should send no more before. One that takes nothing of more
   * than its bound is ended.
   */
  mustCatchUp(sender: EngineSocket): boolean {
    const behind = this.#behind.get(sender);
    if (!behind || !isThere(sender)) return false;
    const { sendQueueMaxBytes } = this.#bounds;
    const bytes = pendingBytes(sender);
    if (bytes <= sendQueueMaxBytes / (behind.pressingSince === undefined ? 2 : 4)) return false;
    behind.pressingSince ??= this.#now;
    const patienceMs = behind.hasTaken ? longestSilenceMs : longestAbsenceMs;
    if (this.#now - behind.since <= patienceMs) return true;
    if (bytes > sendQueueMaxBytes) this.#end(sender);
    return false;
  }

  /** Whether a connection is still taking what it was sent. */
  isTaking(connection: EngineSocket): boolean {
    const behind = this.#behind.get(connection);
    return behind !== undefined && pendingBytes(connection) > 0 && this.#reads(behind);
  }

  /** Of all connections together, and of the worst. */
  get bytes(): { total: number; worst: number } {
    let [total, worst] = [0, 0];
    for (const connection of this.#behind.keys()) {
      const bytes = pendingBytes(connection);
      total += bytes;
      worst = Math.max(worst, bytes);
    }
    return { total, worst };
  }

  close(): void {
    clearInterval(this.#timer);
    this.#behind.clear();
  }

  /** Whether a connection that falls behind was taking what it was sent just before. */
  #hasJustTaken({ transport }: EngineSocket): boolean {
    // The kernel takes what is written to a WebSocket until its buffers are full.
    if (transport instanceof OutboxTransport) return true;
    const { takenAt } = transport as Partial<Polling>;
    // Between two polls a client has nothing that it could take.
    return takenAt !== undefined && this.#now - takenAt <= longestPauseMs;
  }

  #reads({ since }: Behind): boolean {
    return this.#now - since <= longestSilenceMs;
  }

  #sweep(): void {
    for (const [connection, behind] of this.#behind) {
      const bytes = pendingBytes(connection);
      if (bytes === 0) this.#behind.delete(connection);
      else if (this.#isSlow(behind, bytes)) this.#end(connection);
    }
    this.#weigh();
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

  /** Counts all, and ends the worst until the rest is within the bound; those that do not read first. */
  #weigh(): void {
    this.#weighing = false;
    this.#unweighed = 0;
    let { total } = this.bytes;
    if (total <= this.#bounds.memoryMaxBytes) return;
    const worstFirst = [...this.#behind]
      .map(([connection, behind]) => ({
        connection,
        bytes: pendingBytes(connection),
        reads: this.#reads(behind),
      }))
      .sort((a, b) => Number(a.reads) - Number(b.reads) || b.bytes - a.bytes);
    for (const { connection, bytes } of worstFirst) {
      if (total <= this.#bounds.memoryMaxBytes) return;
      this.#end(connection);
      total -= bytes;
    }
  }
}

/** Whether a connection may still take something; its end may wait for what it sent before. */
function isThere({ readyState, transport }: EngineSocket): boolean {
  return readyState === "open" && !(transport instanceof OutboxTransport && transport.tcp.destroyed);
}

/** Gives a client more time for its answer to a ping, which may be behind what it has not taken or was not read. */
export function keepAlive({ readyState, pingTimeoutTimer }: EngineSocket): void {
  if (readyState === "open") pingTimeoutTimer?.refresh();
}

function pendingBytes(connection: EngineSocket): number {
  if (connection.readyState === "closed") return 0;
  const waiting = connection.writeBuffer.length > 0 ? (connection.waitingBytes ?? 0) : 0;
  return waiting + unreadBytes(connection);
}

/** What was written and has not left this process. */
function unreadBytes({ transport }: EngineSocket): number {
  return transport instanceof OutboxTransport
    ? transport.unreadBytes
    : ((transport as Partial<Polling>).unreadBytes ?? 0);
}
