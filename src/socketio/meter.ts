import { ClientError } from "../errors.ts";
import { Rate } from "../limits.ts";
import type { Visitor } from "./gate.ts";
import type { SocketIOClient } from "./server.ts";

export interface MeterOptions {
  eventsPerSecond: number;
  eventsBurst: number;
}

/** What is kept of a connection, for all its namespaces together. */
type Metered = Visitor & { rate?: Rate };

/** Holds each connection to the rate of events, and of handshakes with namespaces, that it may send. */
export class Meter {
  readonly #options: MeterOptions;
  readonly #end: (socket: SocketIOClient) => void;

  /** @param end is handed a client that keeps on after it was refused */
  constructor(options: MeterOptions, end: (socket: SocketIOClient) => void) {
    this.#options = options;
    this.#end = end;
  }

  /** Counts a handshake with a namespace. The first is free, so that one who is silent costs no {@link Rate}. */
  arrive(socket: SocketIOClient): void {
    const connection = socket.conn as unknown as Metered;
    connection.arrivals = (connection.arrivals ?? 0) + 1;
    if (connection.arrivals > 1) this.count(socket, performance.now());
  }

  /**
   * Counts an event.
   *
   * @param now milliseconds, as of `performance.now()`
   * @throws {ClientError} `rate_limited`
   */
  count(socket: SocketIOClient, now: number): void {
    const { eventsPerSecond, eventsBurst } = this.#options;
    const connection = socket.conn as unknown as Metered;
    connection.rate ??= new Rate(eventsBurst, now);
    const retryAfterMs = connection.rate.take(eventsPerSecond, eventsBurst, now);
    if (retryAfterMs === 0) return;
    if (retryAfterMs === Number.POSITIVE_INFINITY) this.#end(socket);
    throw new ClientError(
      "rate_limited",
      `One connection may send ${eventsPerSecond} events a second, and ${eventsBurst} after a silence.`,
      Number.isFinite(retryAfterMs) ? retryAfterMs : undefined,
    );
  }
}
