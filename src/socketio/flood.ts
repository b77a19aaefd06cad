import type { EngineSocket } from "./engine.ts";

const everyMs = 1_000;

/**
 * Counts the packets of each connection, second by second, whatever they are: heartbeats, acks and nonsense pass no
 * limit on events, and each costs some time to read. One who sends far more than events could be is ended.
 */
export class Flood {
  readonly #counts = new Map<EngineSocket, number>();
  readonly #most: number;
  readonly #end: (connection: EngineSocket) => void;
  readonly #timer = setInterval(() => this.#counts.clear(), everyMs).unref();

  /**
   * @param most packets of one connection in a second
   * @param end is handed each connection that sends more
   */
  constructor(most: number, end: (connection: EngineSocket) => void) {
    this.#most = most;
    this.#end = end;
  }

  /** @returns false if the packets are too many, and its connection is being ended */
  admits(connection: EngineSocket, packets = 1): boolean {
    const count = (this.#counts.get(connection) ?? 0) + packets;
    this.#counts.set(connection, count);
    if (count <= this.#most) return true;
    this.#end(connection);
    return false;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#counts.clear();
  }
}
