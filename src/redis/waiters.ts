/** Promises that resolve when a count reaches a number. */
export class Waiters {
  /** Lowest number first. */
  #waiting: { number: number; resolve: () => void }[] = [];

  /** @param number not lower than most of those that are waited for already */
  until(number: number): Promise<void> {
    return new Promise((resolve) => {
      let at = this.#waiting.length;
      while (at > 0 && (this.#waiting[at - 1] as { number: number }).number > number) at--;
      this.#waiting.splice(at, 0, { number, resolve });
    });
  }

  reached(number: number): void {
    while (this.#waiting[0] && this.#waiting[0].number <= number) this.#waiting.shift()?.resolve();
  }

  /** Resolves all promises. */
  release(): void {
    this.reached(Number.POSITIVE_INFINITY);
  }
}
