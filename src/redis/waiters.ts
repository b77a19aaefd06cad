interface Waiter {
  readonly number: number;
  readonly sinceMs: number;
  resolve(): void;
}

/** Promises that resolve when a count reaches a number, or after a time. */
export class Waiters {
  readonly #longestMs: number;
  /** Lowest number first. */
  #waiting: Waiter[] = [];
  /** One for all of them, because most numbers are reached at once. */
  #timer: NodeJS.Timeout | undefined;

  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  /** @param number not lower than most of those that are waited for already */
  until(number: number): Promise<void> {
    this.#timer ??= this.#expireAfter(this.#longestMs);
    return new Promise((resolve) => {
      let at = this.#waiting.length;
      while (at > 0 && (this.#waiting[at - 1] as Waiter).number > number) at--;
      this.#waiting.splice(at, 0, { number, sinceMs: performance.now(), resolve });
    });
  }

  reached(number: number): void {
    while (this.#waiting[0] && this.#waiting[0].number <= number) this.#waiting.shift()?.resolve();
  }

  /** Resolves all promises. */
  release(): void {
    this.reached(Number.POSITIVE_INFINITY);
  }

  #expireAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#expire(), ms).unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    // Timers may fire up to a millisecond early.
    const isOver = ({ sinceMs }: Waiter) => nowMs - sinceMs >= this.#longestMs - 1;
    for (const waiter of this.#waiting) if (isOver(waiter)) waiter.resolve();
    this.#waiting = this.#waiting.filter((waiter) => !isOver(waiter));
    if (this.#waiting.length === 0) return;
    const oldestMs = this.#waiting.reduce((ms, { sinceMs }) => Math.min(ms, sinceMs), nowMs);
    this.#timer = this.#expireAfter(oldestMs + this.#longestMs - nowMs);
  }
}
