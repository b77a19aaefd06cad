/** Something that was received in part: a WebSocket message, the body of a post, a packet without its attachments. */
export interface Unfinished {
  /** Ends its connection, which frees the memory. */
  evict(): void;
}

/** What something unfinished takes, at most. */
interface Held {
  bytes: number;
  /** In milliseconds of `performance.now()`. */
  since: number;
}

/**
 * Counts the memory of all that was received in part, and keeps it within one bound: beyond it the largest and
 * oldest is evicted first. What arrives whole costs nothing here.
 */
export class InboundMemory {
  readonly #maxBytes: number;
  readonly #held = new Map<Unfinished, Held>();
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
    const held = this.#held.get(unfinished);
    this.#bytes += bytes - (held?.bytes ?? 0);
    if (bytes === 0) this.#held.delete(unfinished);
    else if (held) held.bytes = bytes;
    else this.#held.set(unfinished, { bytes, since: performance.now() });
    if (this.#bytes > this.#maxBytes) this.#evict();
  }

  #evict(): void {
    const now = performance.now();
    // A healthy client finishes within moments, so that age tells a hoarder from it.
    const weight = ({ bytes, since }: Held) => bytes * (now - since + 1_000);
    const worstFirst = [...this.#held].sort(([, a], [, b]) => weight(b) - weight(a));
    for (const [unfinished] of worstFirst) {
      if (this.#bytes <= this.#maxBytes) return;
      this.hold(unfinished, 0);
      unfinished.evict();
    }
  }
}
