import type { Message, RoomName } from "../protocol.ts";
import { EncodedMessage, encodeCopy } from "./envelope.ts";
import { newEpoch, offsetOf, type Position } from "./position.ts";
import { TextQueue } from "./text-queue.ts";
import { TurnCache } from "./turn-cache.ts";

/** A message in the log of a room: its copy for that room, as JSON. */
export class LogEntry extends EncodedMessage {
  readonly seq: number;

  constructor(seq: number, json: string) {
    super(json);
    this.seq = seq;
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
  /** When it was last written or read, in milliseconds since the Unix epoch. */
  usedAt = 0;
  /** When it was last moved in the order by use. */
  movedAt = 0;
  /** Whether the room has members, so that the log must not be forgotten. */
  isPinned = false;
  readonly #kept = new TextQueue();
  /** The entries that were read in this event loop turn: clients that reconnect together read the same ones. */
  readonly #read = new TurnCache<number, LogEntry>();

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
    return this.#kept.size;
  }

  /** Memory of the kept messages, in bytes. */
  get bytes(): number {
    return this.#kept.bytes;
  }

  /** Creates the next entry. @param isKept whether the log stores it */
  append(message: Message, isKept: boolean): LogEntry {
    this.seq++;
    const entry = new LogEntry(this.seq, encodeCopy(message, this.room, offsetOf(this)));
    if (isKept) this.#kept.push(entry.json, this.usedAt);
    return entry;
  }

  /** Whether the log has an entry that was logged before `since`. */
  isStale(since: number): boolean {
    const { oldestAt } = this.#kept;
    return oldestAt !== undefined && oldestAt < since;
  }

  /** Removes the oldest entries: those beyond `size`, and those logged before `since`. */
  trim(size: number, since: number): void {
    while (this.size > size || this.isStale(since)) this.#kept.shift();
  }

  /** Reads entries from the start on, up to `maxBytes` of them but at least one. */
  read(start: Start, maxBytes: number): Page {
    const { after, isComplete } = this.#place(start);
    const entries: LogEntry[] = [];
    let seq = after;
    for (let bytes = 0; seq < this.seq && (entries.length === 0 || bytes < maxBytes); ) {
      const entry = this.#entry(++seq);
      bytes += entry.json.length;
      entries.push(entry);
    }
    return { entries, position: { epoch: this.epoch, seq }, isComplete, isLast: seq === this.seq };
  }

  /** @param seq the number of a kept message */
  #entry(seq: number): LogEntry {
    return this.#read.get(seq, () => new LogEntry(seq, this.#kept.at(this.#indexOf(seq))));
  }

  #indexOf(seq: number): number {
    return this.size - (this.seq - seq) - 1;
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
    const end = Math.max(0, this.#indexOf(Math.min(before?.seq ?? Number.POSITIVE_INFINITY, this.seq + 1)));
    let start = end;
    for (let bytes = 0; start > 0 && end - start < limit && (start === end || bytes < maxBytes); start--)
      bytes += this.#kept.bytesAt(start - 1);
    const messages: Message[] = [];
    for (let index = start; index < end; index++) messages.push(JSON.parse(this.#kept.at(index)));
    return { messages, more: start > 0, head };
  }
}
