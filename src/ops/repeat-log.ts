export type Level = "debug" | "info" | "warn" | "error";

/** Shortest interval between two log lines about the same thing and the same address, in milliseconds. */
const logRepeatMs = 5_000;

/** The log that lines are written to. */
export type LineLog = Record<Level, (details: object, message: string) => void> & {
  /** Undefined if the application disabled its log. */
  readonly level?: string | undefined;
  /** Present in pino; an application's own logger may not have it. */
  isLevelEnabled?(level: Level): boolean;
};

/** A line that may be repeated often. */
export interface Line {
  level: Level;
  /** The event, worded the same for each repeat. */
  message: string;
  /** Repeats of a message with the same address, code and so on are counted together. */
  about: Readonly<Record<string, string>>;
  /** Fields of this line alone, such as ids or an error. */
  details?: object;
  /** Lines to write in one window before repeats are only counted. @defaultValue 1 */
  burst?: number;
}

interface Entry {
  readonly line: Line;
  /** All lines of this window. */
  count: number;
  /** The lines of this window that were counted but not written. */
  repeats: number;
  isThrottled: boolean;
}

const maxEntries = 500;
const maxLines = 500;

/**
 * A log whose size clients cannot inflate. It writes the first line about an address at once. It counts the
 * repeats, and writes their number in one line per window of 5 seconds. In one window it writes at most 500
 * lines at once, and at most 500 lines with counts; further addresses are counted together.
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

  /** Writes the pending counts, so that none are lost when the process exits, and stops the timer. */
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
