/** Limits on how fast one connection may send. */
export interface ByteRateBounds {
  /** Sustained rate. */
  bytesPerSecond: number;
  /** Bytes that may arrive at once after the connection was idle. */
  burstBytes: number;
}

/** Bytes that a connection may send at once after being idle: one text per event, or a second's worth. */
export function burstBytes(limits: {
  bytesPerSecond: number;
  eventsBurst: number;
  maxTextChars: number;
}): number {
  return Math.max(limits.bytesPerSecond, limits.eventsBurst * limits.maxTextChars);
}

/**
 * A token bucket for the bytes of one connection. A client that sends faster than the bucket refills is not
 * refused, but read later: {@link take} returns how long to wait.
 */
export class ByteRate {
  readonly #bounds: ByteRateBounds;
  #allowance: number;
  #updatedAt: number;

  /** @param now milliseconds, by any clock that never goes backwards */
  constructor(bounds: ByteRateBounds, now: number) {
    this.#bounds = bounds;
    this.#allowance = bounds.burstBytes;
    this.#updatedAt = now;
  }

  /**
   * Charges the bucket for received bytes.
   *
   * @param now milliseconds, by any clock that never goes backwards
   * @returns the milliseconds to wait before reading more
   */
  take(bytes: number, now: number): number {
    const { bytesPerSecond, burstBytes } = this.#bounds;
    const gained = ((now - this.#updatedAt) * bytesPerSecond) / 1_000;
    this.#updatedAt = now;
    this.#allowance = Math.min(burstBytes, this.#allowance + gained) - bytes;
    return this.#allowance >= 0 ? 0 : Math.ceil((-this.#allowance * 1_000) / bytesPerSecond);
  }
}
