import type { EngineSocket } from "./engine.ts";
import { OutboxTransport } from "./outbox.ts";
import type { Polling } from "./polling.ts";

/** What may wait, in bytes and milliseconds. */
export interface BacklogBounds {
  /** For one connection. */
  outboxMaxBytes: number;
  outboxAgeMs: number;
  /** For all together. */
  memoryMaxBytes: number;
}

/** What a packet that waits costs beside its data, in bytes. */
const packetBytes = 256;

const sweepMs = 1_000;

/**
 * What connections were sent and have not taken, and the bounds on it. Only those that are behind are in it, so
 * that one who reads costs nothing.
 */
export class Backlog {
  readonly #behind = new Map<EngineSocket, { since: number }>();
  readonly #bounds: BacklogBounds;
  readonly #end: (connection: EngineSocket) => void;
  readonly #timer: NodeJS.Timeout;
  /** What was added since all was last counted. */
  #unweighed = 0;

  /** @param end is handed each connection that is over a bound */
  constructor(bounds: BacklogBounds, end: (connection: EngineSocket) => void) {
    this.#bounds = bounds;
    this.#end = end;
    this.#timer = setInterval(() => this.#sweep(Date.now()), sweepMs).unref();
  }

  /** A packet is about to wait in the buffer of its connection. */
  wait(connection: EngineSocket, dataBytes: number): void {
    const first = connection.writeBuffer.length === 0;
    const size = packetBytes + dataBytes;
    connection.waitingBytes = first ? size : (connection.waitingBytes ?? 0) + size;
    const { outboxMaxBytes } = this.#bounds;
    // One packet may be larger than the bound; it is what comes behind it that waits for who does not read.
    const isOver = connection.waitingBytes + unreadBytes(connection) > outboxMaxBytes;
    if (!first && isOver) this.#end(connection);
    else this.left(connection, size);
  }

  /** So much more is left behind for a connection, or may be. */
  left(connection: EngineSocket, bytes: number): void {
    if (!this.#behind.has(connection)) this.#behind.set(connection, { since: Date.now() });
    this.#unweighed += bytes;
    // Often enough that the bound is not passed by much, seldom enough to cost little.
    if (this.#unweighed > this.#bounds.memoryMaxBytes / 64) this.#weigh();
  }

  /** A connection has taken all that was written to it; what waits now is its oldest. */
  took(connection: EngineSocket): void {
    if (connection.writeBuffer.length === 0) this.#behind.delete(connection);
    else this.#behind.set(connection, { since: Date.now() });
  }

  /** A connection is over its bound in a way that is not counted here. */
  over(connection: EngineSocket): void {
    this.#end(connection);
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

  #sweep(now: number): void {
    for (const [connection, { since }] of this.#behind) {
      if (pendingBytes(connection) === 0) this.#behind.delete(connection);
      else if (now - since > this.#bounds.outboxAgeMs) this.#end(connection);
    }
    this.#weigh();
  }

  /** Counts all, and ends the worst until the rest is within the bound. */
  #weigh(): void {
    this.#unweighed = 0;
    let { total } = this.bytes;
    if (total <= this.#bounds.memoryMaxBytes) return;
    const worstFirst = [...this.#behind.keys()]
      .map((connection) => ({ connection, bytes: pendingBytes(connection) }))
      .sort((a, b) => b.bytes - a.bytes);
    for (const { connection, bytes } of worstFirst) {
      if (total <= this.#bounds.memoryMaxBytes) return;
      this.#end(connection);
      total -= bytes;
    }
  }
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
