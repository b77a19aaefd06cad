import type { RoomName } from "../../src/protocol.ts";
import { offsetOf, type Position, positionOf } from "../../src/rooms/position.ts";
import { Finding } from "../fuzz/target.ts";
import type { Entry, History, LoggedMessage, Sent } from "./history.ts";

/** The limits of the server's logs, as far as they decide what a log may have dropped. */
export interface ModelOptions {
  historySize: number;
  historyAgeMs: number;
  historyMemoryMaxBytes: number;
  /** How often all connections were ended. */
  restarts: number;
  /** How often all logs were lost. */
  lostLogs: number;
}

type Known = Partial<LoggedMessage> & Pick<LoggedMessage, "id" | "token">;

/** An upper bound of the memory that a message takes beyond its JSON, in bytes. */
const entryBytes = 200;

/** What the logs of all rooms must have been, put together from what all members have received and what was acked. */
export class LogModel {
  readonly #options: ModelOptions;
  /** By room, epoch and sequence number. */
  readonly #logs = new Map<RoomName, Map<string, Known[]>>();
  readonly #isMemoryExceeded: boolean;

  /** @throws {Finding} if the reports contradict each other */
  constructor(histories: readonly History[], options: ModelOptions) {
    this.#options = options;
    for (const { entries } of histories) for (const entry of entries) this.#seen(entry);
    for (const { sent } of histories) for (const request of sent) this.#acked(request);
    const messages = [...this.#logs.values()].flatMap((epochs) => [...epochs.values()].flat());
    const bytes = messages.reduce((sum, { chars = 0 }) => sum + entryBytes + 2 * chars, 0);
    this.#isMemoryExceeded = bytes > options.historyMemoryMaxBytes;
    for (const [room, epochs] of this.#logs) this.#checkRoom(room, epochs);
  }

  /** The newest sequence number of an epoch. */
  head(room: RoomName, epoch: string): number {
    return Math.max(0, (this.#logs.get(room)?.get(epoch)?.length ?? 1) - 1);
  }

  /** Whether the log may no longer have held a message when its newest one was `head`. */
  mayHaveDropped(room: RoomName, { epoch, seq }: Position, head: number, at: number): boolean {
    const { historySize, historyAgeMs } = this.#options;
    if (head - seq >= historySize || this.#isMemoryExceeded) return true;
    // Only a receiver knows the time of a message; it is not older than those before it.
    const log = this.#logs.get(room)?.get(epoch) ?? [];
    const time = log.slice(0, seq + 1).findLast((known) => known?.at !== undefined)?.at;
    return time === undefined || at - time > historyAgeMs;
  }

  #seen(entry: Entry): void {
    if (entry.what === "message") this.#add(entry.room, entry.message);
    else if (entry.what === "verdict") this.#logOf(entry.room, positionOf(entry.verdict.offset).epoch);
  }

  #acked({ token, receipt }: Sent): void {
    const { id, rooms, offsets } = receipt;
    const transient = Object.keys(offsets).length === 0;
    if (!transient && [...rooms].sort().join() !== Object.keys(offsets).sort().join())
      throw new Finding(`${token} was acked for ${rooms} with the offsets ${JSON.stringify(offsets)}`);
    for (const [room, offset] of Object.entries(offsets)) this.#add(room, { offset, id, token });
  }

  #add(room: RoomName, message: Known & { offset: string }): void {
    const { epoch, seq } = positionOf(message.offset);
    const log = this.#logOf(room, epoch);
    const known = log[seq];
    if (known && (known.id !== message.id || known.token !== message.token))
      throw new Finding(`${room} ${message.offset} is both ${known.token} and ${message.token}`);
    log[seq] ??= message;
  }

  #logOf(room: RoomName, epoch: string): Known[] {
    const epochs = this.#logs.get(room) ?? new Map<string, Known[]>();
    const log = epochs.get(epoch) ?? [];
    this.#logs.set(room, epochs.set(epoch, log));
    return log;
  }

  #checkRoom(room: RoomName, epochs: ReadonlyMap<string, Known[]>): void {
    if (epochs.size > 1 + this.#options.lostLogs && !this.#isMemoryExceeded)
      throw new Finding(`${room} has the epochs ${[...epochs.keys()].join(", ")} although no log was lost`);
    for (const [epoch, log] of epochs) {
      const offsets = new Map<string, string>();
      for (const [seq, known] of log.entries()) {
        if (!known) continue;
        const offset = offsetOf({ epoch, seq });
        const first = offsets.get(known.token) ?? offset;
        if (first !== offset)
          throw new Finding(`${room}: ${known.token} was said twice, at ${first} and ${offset}`);
        offsets.set(known.token, offset);
      }
    }
  }
}
