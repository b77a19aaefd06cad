import type { LogEntry } from "../rooms/log.ts";

/** The most messages that are kept, and the most characters of them. */
const maxEntries = 1_000;
const maxChars = 1_000_000;

/** The last messages of a room, without a hole. */
export class Tail {
  #entries: LogEntry[] = [];
  #chars = 0;

  get size(): number {
    return this.#entries.length;
  }

  /** Adds a message. If there are too many, only the new one is kept. */
  push(entry: LogEntry): void {
    if (this.#entries.length === maxEntries || this.#chars > maxChars) this.clear();
    this.#entries.push(entry);
    this.#chars += entry.json.length;
  }

  /** The last messages, oldest first; undefined if fewer are kept. */
  last(count: number): readonly LogEntry[] | undefined {
    const { length } = this.#entries;
    return count > length ? undefined : this.#entries.slice(length - count);
  }

  clear(): void {
    if (this.#entries.length === 0) return;
    this.#entries = [];
    this.#chars = 0;
  }
}
