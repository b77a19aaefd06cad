const everyMs = 1_000;

/**
 * Counts the packets of each connection, second by second, whatever they are: heartbeats, acks and nonsense pass no
 * limit on events, and each costs some time to read. A connection that sends far more than its events could be is
 * ended.
 */
export class PacketLimiter<C extends object> {
  readonly #counts = new Map<C, number>();
  readonly #max: number;
  readonly #end: (connection: C) => void;
  readonly #timer = setInterval(() => this.#counts.clear(), everyMs).unref();

  /**
   * @param max packets of one connection in a second
   * @param end is called with each connection that sends more
   */
  constructor(max: number, end: (connection: C) => void) {
    this.#max = max;
    this.#end = end;
  }

  /** @returns false if the packets are too many, and their connection is being ended */
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
