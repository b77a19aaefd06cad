import type { Message, RoomName } from "../protocol.ts";
import { type Envelope, encodeCopy } from "./envelope.ts";
import { newEpoch, offsetOf, type Position } from "./position.ts";

/** Memory of an entry beyond its JSON, in bytes. */
const entryBytes = 120;

/** A message in the log of a room: its copy for that room, as JSON. */
export class LogEntry implements Envelope {
  readonly seq: number;
  readonly json: string;
  /** Its size in memory, in bytes. */
  readonly bytes: number;

  constructor(message: Message, room: RoomName, position: Position) {
    this.seq = position.seq;
    this.json = encodeCopy(message, room, offsetOf(position));
    // Not ASCII: V8 may keep two bytes for each character. This also joins the pieces of which it has built the string.
    const isAscii = Buffer.byteLength(this.json) === this.json.length;
    this.bytes = entryBytes + (isAscii ? 1 : 2) * this.json.length;
  }

  get event(): "res" {
    return "res";
  }

  get isTransient(): boolean {
    return false;
  }

  get payload(): Message {
    return JSON.parse(this.json);
  }
}

/** Where a reader wants to start: after a position, or at the last messages. */
export type Start = { after: Position } | { last: number };

/** A part of a log, as it is replayed. */
export interface Page {
  readonly entries: readonly LogEntry[];
  /** The position of the last entry; without entries, the place from which the reader goes on. */
  readonly position: Position;
  /** Whether the entries follow the start without a hole. */
  readonly isComplete: boolean;
  /** Whether the page ends at the head of the log. */
  readonly isLast: boolean;
}

/** A part of a log, as `history` returns it. */
export interface HistoryPage {
  /** Oldest first. */
  readonly messages: Message[];
  /** Whether the log holds older messages. */
  readonly more: boolean;
  readonly head: Position;
}

/** The newest messages of one room, in the order in which all members receive them. */
export class RoomLog {
  readonly room: RoomName;
  readonly epoch: string;
  /** The sequence number of the newest message, kept or not. */
  seq: number;
  /** Memory of its entries, in bytes. */
  bytes = 0;
  /** When it was last written or read, in milliseconds since the Unix epoch. */
  usedAt = 0;
  /** When it was last moved in the order by use. */
  movedAt = 0;
  /** Whether the room has members, so that the log must not be forgotten. */
  isPinned = false;
  readonly #entries: LogEntry[] = [];
  /** The times of the entries, in milliseconds since the Unix epoch. */
  readonly #times: number[] = [];
  /** The index of the oldest entry; those before it are removed in batches. */
  #first = 0;

  /** @param head the position at which a forgotten log ended */
  constructor(room: RoomName, head: Position = { epoch: newEpoch(), seq: 0 }) {
    this.room = room;
    this.epoch = head.epoch;
    this.seq = head.seq;
  }

  get head(): Position {
    return { epoch: this.epoch, seq: this.seq };
  }

  /** The number of kept messages. */
  get size(): number {
    return this.#entries.length - this.#first;
  }

  /** Creates the next entry. @param isKept whether the log stores it */
  append(message: Message, isKept: boolean): LogEntry {
    this.seq++;
    const entry = new LogEntry(message, this.room, this);
    if (isKept) {
      this.#entries.push(entry);
      this.#times.push(this.usedAt);
      this.bytes += entry.bytes;
    }
    return entry;
  }

  /** Whether the log has an entry that was logged before `since`. */
  isStale(since: number): boolean {
    return this.size > 0 && (this.#times[this.#first] as number) < since;
  }

  /** Removes the oldest entries: those beyond `size`, and those logged before `since`. */
  trim(size: number, since: number): void {
    while (this.size > size || (this.size > 0 && (this.#times[this.#first] as number) < since)) this.#drop();
    if (this.#first > 16 && this.#first > this.size) {
      this.#entries.splice(0, this.#first);
      this.#times.splice(0, this.#first);
      this.#first = 0;
    }
  }

  /** Reads entries from the start on, up to `maxBytes` of them but at least one. */
  read(start: Start, maxBytes: number): Page {
    const { after, isComplete } = this.#place(start);
    const index = this.#entries.length - (this.seq - after);
    let bytes = 0;
    let end = index;
    while (end < this.#entries.length && (end === index || bytes < maxBytes))
      bytes += (this.#entries[end++] as LogEntry).bytes;
    const seq = this.seq - (this.#entries.length - end);
    return {
      entries: this.#entries.slice(index, end),
      position: { epoch: this.epoch, seq },
      isComplete,
      isLast: seq === this.seq,
    };
  }

  /** The sequence number after which a reader starts, and whether it is the one that the reader asked for. */
  #place(start: Start): { after: number; isComplete: boolean } {
    if ("last" in start) return { after: this.seq - Math.min(start.last, this.size), isComplete: true };
    const { epoch, seq } = start.after;
    const oldest = this.seq - this.size;
    const isComplete = epoch === this.epoch && seq >= oldest && seq <= this.seq;
    return { after: isComplete ? seq : oldest, isComplete };
  }

  /** Reads the newest entries before a position, up to `limit` and `maxBytes` of them but at least one. */
  history(before: Position | undefined, limit: number, maxBytes: number): HistoryPage {
    const { head } = this;
    if (before && before.epoch !== this.epoch) return { messages: [], more: false, head };
    const beyond = Math.min(before?.seq ?? Number.POSITIVE_INFINITY, this.seq + 1);
    const end = Math.max(this.#first, this.#entries.length - (this.seq + 1 - beyond));
    let start = end;
    let bytes = 0;
    while (start > this.#first && end - start < limit && (start === end || bytes < maxBytes))
      bytes += (this.#entries[--start] as LogEntry).bytes;
    const messages = this.#entries.slice(start, end).map(({ payload }) => payload);
    return { messages, more: start > this.#first, head };
  }

  #drop(): void {
    this.bytes -= (this.#entries[this.#first] as LogEntry).bytes;
    this.#entries[this.#first++] = undefined as never;
  }
}
