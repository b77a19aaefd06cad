import type { Consumer } from "./consumer.ts";

interface Wait {
  readonly maxBytes: number;
  readonly done: () => void;
}

/** Producers that wait, before they send more to a consumer, until it has read most of what was sent. */
export class ReadyWaits<C extends Consumer> {
  readonly #waits = new Map<C, Wait[]>();

  get size(): number {
    return this.#waits.size;
  }

  /** Resolves when at most `maxBytes` wait for the consumer, or it is gone; undefined if that is so already. */
  wait(consumer: C, maxBytes: number): Promise<void> | undefined {
    if (isReady(consumer, maxBytes)) return undefined;
    return new Promise((done) => {
      const waits = this.#waits.get(consumer);
      if (waits) waits.push({ maxBytes, done });
      else this.#waits.set(consumer, [{ maxBytes, done }]);
    });
  }

  /** Ends the waits of a consumer that has read enough. */
  check(consumer: C): void {
    const waits = this.#waits.get(consumer);
    if (!waits) return;
    const unfinished = waits.filter(({ maxBytes, done }) => {
      if (!isReady(consumer, maxBytes)) return true;
      done();
      return false;
    });
    if (unfinished.length > 0) this.#waits.set(consumer, unfinished);
    else this.#waits.delete(consumer);
  }

  checkAll(): void {
    for (const consumer of this.#waits.keys()) this.check(consumer);
  }

  /** Ends all waits. */
  close(): void {
    for (const waits of this.#waits.values()) for (const { done } of waits) done();
    this.#waits.clear();
  }
}

const isReady = (consumer: Consumer, maxBytes: number) =>
  consumer.queuedBytes <= maxBytes || !consumer.isReachable;
