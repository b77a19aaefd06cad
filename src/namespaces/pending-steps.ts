/** An event as a gateway received it, not yet validated. */
export interface Request {
  event: unknown;
  args: readonly unknown[];
  /** Undefined if the client does not ask for an ack. */
  ack: ((reply: unknown) => void) | undefined;
}

/** The most steps of one member that overlap. */
const maxOverlapping = 32;

/** The steps of a member that are not done yet, and the requests that wait for them. */
export class PendingSteps {
  /** Resolves when all steps are done and the requests that waited for them are being handled. */
  readonly done: Promise<void>;
  readonly requests: Request[] = [];
  readonly #mayOverlap: boolean;
  #resolve: () => void = () => {};
  #count = 0;

  /** @param mayOverlap whether a further step need not wait for these if it may overlap, too */
  constructor(mayOverlap: boolean) {
    this.#mayOverlap = mayOverlap;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Whether no further request can be handled now, so that none should be read. */
  get isFull(): boolean {
    return !this.#mayOverlap || this.#count >= maxOverlapping || this.requests.length > 0;
  }

  /** @param step never rejects. @param onDone called when all steps are done */
  add(step: Promise<void>, onDone: () => void): void {
    this.#count++;
    void step.then(() => {
      if (--this.#count > 0) return;
      onDone();
      this.#resolve();
    });
  }
}
