/** Keys that are told apart; beyond them all others share one. */
const maxKeys = 1_000;
const others = "";

/**
 * Keeps a log short where clients decide how often something is logged: lets one line of each key through per
 * interval, and counts those that it has left out.
 */
export class LogRepeats {
  readonly #everyMs: number;
  readonly #lines = new Map<string, { at: number; omitted: number }>();

  constructor(everyMs: number) {
    this.#everyMs = everyMs;
  }

  /**
   * Counts a line.
   *
   * @param now milliseconds, of any clock that is not set back
   * @returns how many were left out before it, if it is to be written; undefined if it is left out itself
   */
  omitted(key: string, now: number): number | undefined {
    const kept = this.#keep(key, now);
    const line = this.#lines.get(kept);
    if (line && now - line.at < this.#everyMs) {
      line.omitted++;
      return undefined;
    }
    this.#lines.set(kept, { at: now, omitted: 0 });
    return line?.omitted ?? 0;
  }

  #keep(key: string, now: number): string {
    if (this.#lines.size < maxKeys || this.#lines.has(key)) return key;
    for (const [old, { at, omitted }] of this.#lines)
      if (omitted === 0 && now - at >= this.#everyMs) this.#lines.delete(old);
    return this.#lines.size < maxKeys ? key : others;
  }
}
