/** Whether the server is ready for more clients, and if not, why. */
export class Health {
  /** Whether the server is about to stop. It reports this before it refuses new sessions. */
  leaving = false;
  /** Whether new sessions are refused. */
  closed = false;
  readonly #checks: (() => string | undefined)[] = [];

  /** Adds a check that returns why the server is not ready, or undefined if it is. */
  addCheck(check: () => string | undefined): void {
    this.#checks.push(check);
  }

  /** The reason why the server is not ready; undefined if it is ready. */
  get complaint(): string | undefined {
    if (this.leaving || this.closed) return "the server is about to stop";
    for (const check of this.#checks) {
      const reason = check();
      if (reason) return reason;
    }
    return undefined;
  }
}
