/** How fast one connection may send. */
export interface ByteRateBounds {
  /** The sustained rate. */
  bytesPerSecond: number;
  /** What may come at once after a silence. */
  burstBytes: number;
}

/**
 * A token bucket for the bytes of one connection. Who sends faster than it refills is not refused but read later:
 * {@link take} says how long to wait.
 */
export class ByteRate {
  readonly #bounds: ByteRateBounds;
  #allowance: number;
  #at: number;

  /** @param now milliseconds, of any clock that is not set back */
  constructor(bounds: ByteRateBounds, now: number) {
    this.#bounds = bounds;
    this.#allowance = bounds.burstBytes;
    this.#at = now;
  }

  /**
   * Takes what was received.
   *
   * @param now milliseconds, of any clock that is not set back
   * @returns how many milliseconds to wait before more is read
   */
  take(bytes: number, now: number): number {
    const { bytesPerSecond, burstBytes } = this.#bounds;
    const gained = ((now - this.#at) * bytesPerSecond) / 1_000;
    this.#at = now;
    this.#allowance = Math.min(burstBytes, this.#allowance + gained) - bytes;
    return this.#allowance >= 0 ? 0 : Math.ceil((-this.#allowance * 1_000) / bytesPerSecond);
  }
}
