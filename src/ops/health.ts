/** Whether the server is ready for more clients, and if not, why. */
export class Health {
  #isLeaving = false;
  #refusesSessions = false;
  readonly #checks: (() => string | undefined)[] = [];

  /** Whether new sessions are refused. */
  get refusesSessions(): boolean {
    return this.#refusesSessions;
  }

  /** From now on the server reports that it is about to stop; it still accepts sessions. */
  announceShutdown(): void {
    this.#isLeaving = true;
  }

  /** From now on new sessions are refused. */
  refuseSessions(): void {
    this.announceShutdown();
    this.#refusesSessions = true;
  }

  /** Adds a check that returns why the server is not ready, or undefined if it is. */
  addCheck(check: () => string | undefined): void {
    this.#checks.push(check);
  }

  /** The reason why the server is not ready; undefined if it is ready. */
  get problem(): string | undefined {
    if (this.#isLeaving) return "the server is about to stop";
    for (const check of this.#checks) {
      const reason = check();
      if (reason) return reason;
    }
    return undefined;
  }
}
