import type { Receipt } from "../protocol.ts";

/** The part of a receipt that a repeated request receives again. */
export type Remembered = Pick<Receipt, "id" | "rooms" | "offsets">;

/** Memory of an entry beyond its strings, in bytes. */
const entryBytes = 300;

/** Memory of a room in a receipt beyond its name, in bytes. */
const roomBytes = 64;

/** The key of a message: control characters cannot be part of a userId. */
export const dedupKey = (userId: string, id: string): string => `${userId}\n${id}`;

/** Remembers the messages that were sent with an id of the client's own, for a time and within a memory limit. */
export class Dedup {
  readonly #timeMs: number;
  readonly #maxBytes: number;
  /** Oldest first. */
  readonly #known = new Map<string, { receipt: Remembered; bytes: number; at: number }>();
  #bytes = 0;

  constructor(timeMs: number, maxBytes: number) {
    this.#timeMs = timeMs;
    this.#maxBytes = maxBytes;
  }

  /** @param now milliseconds, by any clock that never goes backwards */
  get(key: string, now: number): Remembered | undefined {
    this.#expire(now);
    return this.#known.get(key)?.receipt;
  }

  add(key: string, { id, rooms, offsets }: Remembered, now: number): void {
    const bytes = rooms.reduce((sum, room) => sum + 2 * room.length + roomBytes, entryBytes + 2 * key.length);
    this.#known.set(key, { receipt: { id, rooms, offsets }, bytes, at: now });
    this.#bytes += bytes;
    this.#expire(now);
  }

  #expire(now: number): void {
    for (const [key, { bytes, at }] of this.#known) {
      if (this.#bytes <= this.#maxBytes && now - at < this.#timeMs) return;
      this.#known.delete(key);
      this.#bytes -= bytes;
    }
  }
}
