/** Whether the server is ready for more, and if not, why. */
export class Health {
  /** The server is on its way out, and says so before it turns anybody away. */
  leaving = false;
  /** No new session may begin. */
  closed = false;
  readonly #complaints: (() => string | undefined)[] = [];

  /** From now on the server is ready only while this has nothing to say. */
  addCheck(complaint: () => string | undefined): void {
    this.#complaints.push(complaint);
  }

  /** Why the server is not ready; undefined where it is. */
  get complaint(): string | undefined {
    if (this.leaving || this.closed) return "the server is about to stop";
    for (const complaint of this.#complaints) {
      const said = complaint();
      if (said) return said;
    }
    return undefined;
  }
}
