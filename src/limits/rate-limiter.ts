import { ClientError } from "../errors.ts";

/** A connection, as far as its rate limit is concerned. */
export interface RateLimited {
  /** Undefined until its first event. */
  bucket: Bucket | undefined;
  /** Ends the connection. */
  close(reason: "rate limited"): void;
}

/** Limits the events of each connection, across all its namespaces, with a token bucket. */
export class RateLimiter {
  readonly #perSecond: number;
  readonly #burst: number;

  /**
   * @param perSecond the sustained rate of events
   * @param burst the number of events that a connection may send at once after being idle
   */
  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
  }

  /**
   * Counts an event. A connection that keeps sending after refusals is closed.
   *
   * @param now milliseconds, as from `performance.now()`
   * @throws {ClientError} `rate_limited`
   */
  take(connection: RateLimited, now: number): void {
    connection.bucket ??= new Bucket(this.#burst, now);
    const retryAfterMs = connection.bucket.take(this.#perSecond, this.#burst, now);
    if (retryAfterMs === 0) return;
    const isFinal = retryAfterMs === Number.POSITIVE_INFINITY;
    if (isFinal) connection.close("rate limited");
    throw new ClientError(
      "rate_limited",
      `One connection may send ${this.#perSecond} events a second, and ${this.#burst} after a silence.`,
      isFinal ? undefined : retryAfterMs,
    );
  }
}

/**
 * The token bucket of one connection, and a second one for its refused events. A connection that keeps
 * sending at more than twice the rate despite refusals empties the second one.
 */
export class Bucket {
  #tokens: number;
  #refusalTokens: number;
  #updatedAt: number;

  /** @param now milliseconds, by any clock that never goes backwards */
  constructor(burst: number, now: number) {
    this.#tokens = burst;
    this.#refusalTokens = burst;
    this.#updatedAt = now;
  }

  /** @returns 0 if there was a token, else milliseconds until the next; Infinity if there is none for a refusal either */
  take(perSecond: number, burst: number, now: number): number {
    const gained = ((now - this.#updatedAt) * perSecond) / 1_000;
    this.#updatedAt = now;
    this.#tokens = Math.min(burst, this.#tokens + gained);
    this.#refusalTokens = Math.min(burst, this.#refusalTokens + gained);
    if (this.#tokens >= 1) {
      this.#tokens--;
      return 0;
    }
    if (--this.#refusalTokens < 0) return Number.POSITIVE_INFINITY;
    return Math.ceil(((1 - this.#tokens) * 1_000) / perSecond);
  }
}
