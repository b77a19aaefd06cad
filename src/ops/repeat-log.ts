import { logRepeatMs } from "../limits/numbers.ts";

type Level = "debug" | "info" | "warn" | "error";

/** Where lines go. */
export type LineLog = Record<Level, (details: object, message: string) => void> & {
  /** Undefined where an application wants no log. */
  readonly level?: string;
  /** Pino has it; an application's own logger may not. */
  isLevelEnabled?(level: Level): boolean;
};

/** A line that may be repeated often. */
export interface Line {
  level: Level;
  /** What happened, the same for each repeat. */
  message: string;
  /** Repeats of the same message about the same address, code and so on are counted together. */
  about: Readonly<Record<string, string>>;
  /** What only this line has: ids, an error. */
  details?: object;
  /** Lines that are written in one window before repeats are only counted; 1 where not given. */
  burst?: number;
}

interface Entry {
  readonly line: Line;
  /** All of this window. */
  count: number;
  /** Those of them that were not written. */
  repeats: number;
  isThrottled: boolean;
}

const maxEntries = 500;
const maxLines = 500;

/**
 * A log whose size clients cannot drive up: the first line about an address is written at once; then its repeats are
 * counted, and one line for each window of 5 seconds has their number. In one window at most 500 lines are written at
 * once, and at most 500 with counts; beyond that many addresses the others are counted together.
 */
export class RepeatLog {
  readonly #log: LineLog;
  readonly #windowMs: number;
  readonly #entries = new Map<string, Entry>();
  #linesLeft = maxLines;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: LineLog, windowMs = logRepeatMs) {
    this.#log = log;
    this.#windowMs = windowMs;
  }

  write(line: Line): void {
    const { level, isLevelEnabled } = this.#log;
    if (level === undefined || isLevelEnabled?.call(this.#log, line.level) === false) return;
    const entry = this.#entryFor(line);
    this.#timer ??= setInterval(() => this.#endWindow(), this.#windowMs).unref();
    entry.count++;
    if (entry.isThrottled || entry.count > (line.burst ?? 1) || this.#linesLeft === 0) entry.repeats++;
    else {
      this.#linesLeft--;
      this.#log[line.level]({ ...line.details, ...line.about }, line.message);
    }
  }

  /** Writes what was counted, for nothing may be lost with the process. */
  close(): void {
    this.#endWindow();
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#entries.clear();
  }

  #entryFor(line: Line): Entry {
    const key = `${line.message} ${Object.values(line.about).join(" ")}`;
    const known = this.#entries.get(key);
    if (known) return known;
    const isFull = this.#entries.size >= maxEntries;
    if (isFull && Object.keys(line.about).length > 0) return this.#entryFor({ ...line, about: {} });
    const entry = { line, count: 0, repeats: 0, isThrottled: isFull };
    this.#entries.set(key, entry);
    return entry;
  }

  #endWindow(): void {
    this.#linesLeft = maxLines;
    for (const [key, entry] of this.#entries) {
      const { level, about, message, burst = 1 } = entry.line;
      if (entry.repeats > 0) this.#log[level]({ ...about, repeats: entry.repeats }, message);
      if (entry.count === 0) this.#entries.delete(key);
      entry.isThrottled = entry.count >= burst;
      entry.count = 0;
      entry.repeats = 0;
    }
    if (this.#entries.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
