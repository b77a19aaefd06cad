/**
 * A token bucket for the bytes of one connection. Who sends faster than it refills is not refused but read later:
 * {@link take} says how long to wait.
 */
export class Pace {
  readonly #bytesPerSecond: number;
  #allowance: number;
  #at: number;

  /** @param bytesPerSecond the sustained rate; a second's worth may come at once */
  constructor(bytesPerSecond: number, now: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#allowance = bytesPerSecond;
    this.#at = now;
  }

  /**
   * Takes what was received.
   *
   * @param now milliseconds, of any clock that is not set back
   * @returns how many milliseconds to wait before more is read
   */
  take(bytes: number, now: number): number {
    const gained = ((now - this.#at) * this.#bytesPerSecond) / 1_000;
    this.#at = now;
    this.#allowance = Math.min(this.#bytesPerSecond, this.#allowance + gained) - bytes;
    return this.#allowance >= 0 ? 0 : Math.ceil((-this.#allowance * 1_000) / this.#bytesPerSecond);
  }
}
