import type { Message, RoomName } from "../protocol.ts";
import { type LogEntry, RoomLog } from "./log.ts";
import type { Position } from "./position.ts";

/** Limits on the logs of all rooms. */
export interface LogBounds {
  /** The number of messages that each room keeps; 0 keeps none. */
  historySize: number;
  /** How long a message is kept, in milliseconds. */
  historyAgeMs: number;
  /** The memory of all logs together, in bytes. */
  historyMemoryMaxBytes: number;
}

/** What remains of a log whose messages have expired, so that a client that has missed nothing is told so. */
interface Head extends Position {
  readonly forgottenAt: number;
}

/** How long the head of a log outlives its messages, in milliseconds. */
const headAgeMs = 24 * 60 * 60 * 1_000;

/** Memory of a head, in bytes. */
const headBytes = 256;

/** Memory of a log without its messages, in bytes. Logs of rooms with members are bounded by the connections. */
const unpinnedBytes = ({ room }: RoomLog) => 400 + 2 * room.length;

const longestSweepMs = 5_000;

/** How exact the order of the logs by use is, in milliseconds. */
const moveIntervalMs = 1_000;

/** The logs of the rooms of one namespace. */
export interface NamespaceLogs {
  readonly logs: Map<RoomName, RoomLog>;
  readonly heads: Map<RoomName, Head>;
}

/**
 * The logs of all rooms of this process, within their limits. When they take too much memory, the messages of the
 * rooms that were least recently used go first.
 */
export class LogStore {
  readonly #bounds: LogBounds;
  /** Every log, least recently used first, to within {@link moveIntervalMs}. */
  readonly #logs = new Map<RoomLog, NamespaceLogs>();
  readonly #namespaces: NamespaceLogs[] = [];
  readonly #now: () => number;
  /** What was logged since the start, kept or not. */
  readonly logged = { messages: 0, bytes: 0 };
  #bytes = 0;
  #messages = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param now milliseconds since the Unix epoch */
  constructor(bounds: LogBounds, now: () => number = Date.now) {
    this.#bounds = bounds;
    this.#now = now;
  }

  /** Memory of all logs, in bytes, except for the overhead of rooms with members. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The number of messages in all logs. */
  get messages(): number {
    return this.#messages;
  }

  /** Adds the logs of a namespace. */
  namespace(): NamespaceLogs {
    const added: NamespaceLogs = { logs: new Map(), heads: new Map() };
    this.#namespaces.push(added);
    return added;
  }

  /** The log of a room, without what has expired; it is created if it does not exist. */
  open(home: NamespaceLogs, room: RoomName): RoomLog {
    const now = this.#now();
    const log = home.logs.get(room) ?? this.#create(home, room);
    // Moved to the end at most once per interval: that is exact enough, and moving is expensive.
    if (now - log.movedAt > moveIntervalMs) {
      this.#logs.delete(log);
      this.#logs.set(log, home);
      log.movedAt = now;
    }
    log.usedAt = now;
    const oldest = now - this.#bounds.historyAgeMs;
    if (log.isStale(oldest)) this.#trim(log, this.#bounds.historySize, oldest);
    return log;
  }

  /** Logs a message as the next one of its room. @param log opened just before */
  append(log: RoomLog, message: Message): LogEntry {
    const { historySize, historyMemoryMaxBytes } = this.#bounds;
    const { bytes } = log;
    const entry = log.append(message, historySize > 0);
    this.logged.messages++;
    this.logged.bytes += entry.json.length;
    if (historySize === 0) return entry;
    this.#bytes += log.bytes - bytes;
    this.#messages++;
    if (log.size > historySize) this.#trim(log, historySize, 0);
    if (this.#bytes > historyMemoryMaxBytes) this.#evict(log);
    return entry;
  }

  /** Keeps the position of a log for as long as its room has members. */
  pin(log: RoomLog): void {
    if (log.isPinned) return;
    log.isPinned = true;
    this.#bytes -= unpinnedBytes(log);
  }

  unpin(log: RoomLog): void {
    if (!log.isPinned) return;
    log.isPinned = false;
    this.#bytes += unpinnedBytes(log);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #create(home: NamespaceLogs, room: RoomName): RoomLog {
    const head = home.heads.get(room);
    if (head) this.#removeHead(home, room);
    const log = new RoomLog(room, head);
    home.logs.set(room, log);
    this.#logs.set(log, home);
    this.#bytes += unpinnedBytes(log);
    const { historyAgeMs, historyMemoryMaxBytes } = this.#bounds;
    this.#timer ??= setInterval(() => this.#sweep(), Math.min(historyAgeMs, longestSweepMs)).unref();
    if (this.#bytes > historyMemoryMaxBytes) this.#evict();
    return log;
  }

  /** Trims a log and counts what that frees. */
  #trim(log: RoomLog, size: number, since: number): void {
    const { bytes, size: before } = log;
    log.trim(size, since);
    this.#bytes -= bytes - log.bytes;
    this.#messages -= before - log.size;
  }

  /** Forgets the logs that were not used within the age, and the heads that are older than a day. */
  #sweep(): void {
    const now = this.#now();
    for (const [log, home] of this.#logs) {
      if (now - log.usedAt <= this.#bounds.historyAgeMs) break;
      this.#forget(log, home, now);
    }
    for (const home of this.#namespaces)
      for (const [room, { forgottenAt }] of home.heads) {
        if (now - forgottenAt <= headAgeMs) break;
        this.#removeHead(home, room);
      }
  }

  /** Removes the messages of a log, and the log itself unless its room has members. */
  #forget(log: RoomLog, home: NamespaceLogs, now: number): void {
    this.#trim(log, 0, 0);
    if (log.isPinned) return;
    this.#logs.delete(log);
    home.logs.delete(log.room);
    this.#bytes += headBytes + 2 * log.room.length - unpinnedBytes(log);
    home.heads.set(log.room, { ...log.head, forgottenAt: now });
  }

  #removeHead(home: NamespaceLogs, room: RoomName): void {
    home.heads.delete(room);
    this.#bytes -= headBytes + 2 * room.length;
  }

  /**
   * Frees a sixteenth of the memory, so that this is not needed for every message.
   *
   * @param newest the log that was just written to: a single busy room must not lose all its messages
   */
  #evict(newest?: RoomLog): void {
    const target = this.#bounds.historyMemoryMaxBytes * (15 / 16);
    for (const home of this.#namespaces)
      for (const room of home.heads.keys()) {
        if (this.#bytes <= target) return;
        this.#removeHead(home, room);
      }
    const now = this.#now();
    for (const [log, home] of this.#logs) {
      if (this.#bytes <= target) return;
      if (log === newest) this.#halve(log, target);
      else this.#forget(log, home, now);
    }
  }

  /** Removes the oldest half of a log's messages until the target is met; its last message is kept. */
  #halve(log: RoomLog, target: number): void {
    while (this.#bytes > target && log.size > 1) this.#trim(log, log.size >> 1, 0);
  }
}
