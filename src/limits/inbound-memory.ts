/** Partially received data: a WebSocket message, the body of a POST, or a packet that lacks attachments. */
export interface Unfinished {
  /** Whether all of it has arrived and waits to be handled. */
  readonly isComplete?: boolean;
  /** Ends the connection, which frees the memory. */
  evict(): void;
}

/** The most memory that unfinished data may take, and since when. */
interface Held {
  bytes: number;
  /** In milliseconds of `performance.now()`. */
  since: number;
}

/**
 * Counts the memory of all partially received data, and of complete data that waits to be handled, and keeps it
 * within one limit. Beyond the limit, it evicts incomplete data first, the largest and oldest first. Data that
 * arrives whole and is handled at once costs nothing here.
 */
export class InboundMemory {
  readonly #maxBytes: number;
  readonly #held = new Map<Unfinished, Held>();
  #bytes = 0;

  /** @param maxBytes limit for all connections together */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that all connections together hold now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Sets how many bytes unfinished data holds: 0 once it is complete or its connection is gone. */
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
    // A healthy client finishes within moments, so age identifies a client that hoards memory.
    const weight = ({ bytes, since }: Held) => bytes * (now - since + 1_000);
    // What is complete waits for the server or for other clients.
    const worstFirst = [...this.#held].sort(
      ([a, heldByA], [b, heldByB]) =>
        Number(a.isComplete ?? false) - Number(b.isComplete ?? false) || weight(heldByB) - weight(heldByA),
    );
    for (const [unfinished] of worstFirst) {
      if (this.#bytes <= this.#maxBytes) return;
      this.hold(unfinished, 0);
      unfinished.evict();
    }
  }
}
