const windowMs = 1_000;

/** Packets that a connection may send per second in addition to its accepted and refused events. */
const sparePackets = 1_000;

/** The most packets that a connection with these limits of events needs to send per second. */
export function maxPacketsPerSecond(limits: { eventsPerSecond: number; eventsBurst: number }): number {
  return 2 * (limits.eventsPerSecond + limits.eventsBurst) + sparePackets;
}

/**
 * Counts all packets of each connection, second by second. Heartbeats, acks and malformed packets are not
 * subject to the event limit, yet each takes some time to read. A connection that sends far more packets than
 * its events could account for is ended.
 */
export class PacketLimiter<C extends object> {
  readonly #counts = new Map<C, number>();
  readonly #max: number;
  readonly #end: (connection: C) => void;
  readonly #timer = setInterval(() => this.#counts.clear(), windowMs).unref();

  /**
   * @param max packets of one connection per second
   * @param end called with each connection that sends more
   */
  constructor(max: number, end: (connection: C) => void) {
    this.#max = max;
    this.#end = end;
  }

  /**
   * Counts packets of a connection.
   *
   * @returns false if there are too many, and the connection is being ended
   */
  admits(connection: C, packets: number): boolean {
    const count = (this.#counts.get(connection) ?? 0) + packets;
    this.#counts.set(connection, count);
    if (count <= this.#max) return true;
    this.#end(connection);
    return false;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#counts.clear();
  }
}
