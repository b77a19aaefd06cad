/** Something that was received in part: a WebSocket message, the body of a post, a packet without its attachments. */
export interface Unfinished {
  /** What it takes in memory until the rest has come, at most. */
  heldBytes: number;
  /** Since when something of it is held, in milliseconds of `performance.now()`. */
  heldSince: number;
  /** Ends its connection, which frees the memory. */
  evict(): void;
}

/**
 * Counts the memory of all that was received in part, and keeps it within one bound: beyond it the largest and
 * oldest is evicted first. What arrives whole costs nothing here.
 */
export class InboundMemory {
  readonly #maxBytes: number;
  readonly #unfinished = new Set<Unfinished>();
  #bytes = 0;

  /** @param maxBytes of all connections together */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Held now, by all connections together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Something holds so many bytes from now on; 0 once it is complete or its connection is gone. */
  hold(unfinished: Unfinished, bytes: number): void {
    const before = unfinished.heldBytes;
    if (bytes === before) return;
    unfinished.heldBytes = bytes;
    this.#bytes += bytes - before;
    if (bytes === 0) this.#unfinished.delete(unfinished);
    else if (before === 0) {
      unfinished.heldSince = performance.now();
      this.#unfinished.add(unfinished);
    }
    if (this.#bytes > this.#maxBytes) this.#evict();
  }

  #evict(): void {
    const now = performance.now();
    // A healthy client finishes within moments, so that age tells a hoarder from it.
    const weight = ({ heldBytes, heldSince }: Unfinished) => heldBytes * (now - heldSince + 1_000);
    const worstFirst = [...this.#unfinished].sort((a, b) => weight(b) - weight(a));
    for (const unfinished of worstFirst) {
      if (this.#bytes <= this.#maxBytes) return;
      this.hold(unfinished, 0);
      unfinished.evict();
    }
  }
}
