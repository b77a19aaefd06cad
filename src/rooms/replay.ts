import { setImmediate as turn } from "node:timers/promises";
import { ClientError } from "../errors.ts";
import type { RoomName, Verdict } from "../protocol.ts";
import type { Broker } from "./broker.ts";
import type { Connection } from "./connection.ts";
import type { Hub } from "./hub.ts";
import type { Page, Start } from "./log.ts";
import { offsetOf, type Position, positionOf } from "./position.ts";

/** How often new messages may push unread ones out of the log before the replay skips the rest. */
const maxOvertakings = 3;

/** The parts of a namespace that a replay uses. */
export interface ReplayOptions {
  broker: Broker;
  hub: Hub;
  /** Bytes of messages after which the replay waits for the reader. */
  pageBytes: number;
}

/** What a replay of one room has sent so far. */
interface Progress {
  readonly room: RoomName;
  start: Start;
  status: Verdict["status"];
  missed: number;
  pages: number;
  overtakings: number;
}

/** Where a replay starts; undefined if none was asked for. An offset takes precedence. */
export function startOf(
  since: string | null | undefined,
  last: number | null | undefined,
): Start | undefined {
  if (since != null) return { after: positionOf(since) };
  return last == null ? undefined : { last };
}

/**
 * Sends a member the logged messages that it has missed. It reads them from the log page by page, no faster than the
 * member does. Meanwhile the hub withholds the live messages of the room; at the head of the log the member becomes
 * live, without a hole or a repeat.
 */
export class Replay {
  readonly #member: Connection;
  readonly #options: ReplayOptions;
  /** Bytes sent since the replay last waited for the reader. */
  #sentBytes = 0;

  constructor(member: Connection, options: ReplayOptions) {
    this.#member = member;
    this.#options = options;
  }

  /**
   * Replays the messages of a room that the member is in.
   *
   * @param start undefined to start at the head of the log: nothing is replayed
   * @throws {ClientError} `closing` if the member has left the room meanwhile
   */
  room(room: RoomName, start: Start | undefined): Verdict | Promise<Verdict> {
    const { broker, hub } = this.#options;
    if (!start) return verdictOf(broker.head(room), "new", 0);
    hub.withhold(this.#member, room);
    const fail = (error: unknown): never => {
      // The member is told that its replay has failed. Live messages must not be withheld forever.
      hub.release(this.#member, room, 0);
      throw error;
    };
    try {
      const status = "last" in start ? "new" : "complete";
      const verdict = this.#continue({ room, start, status, missed: 0, pages: 0, overtakings: 0 });
      return verdict instanceof Promise ? verdict.catch(fail) : verdict;
    } catch (error) {
      return fail(error);
    }
  }

  #continue(progress: Progress): Verdict | Promise<Verdict> {
    const { broker, pageBytes } = this.#options;
    for (;;) {
      if (!this.#member.rooms.includes(progress.room)) throw new ClientError("closing");
      if (this.#sentBytes >= pageBytes) return this.#pause().then(() => this.#continue(progress));
      const page = broker.read(progress.room, progress.start, pageBytes - this.#sentBytes);
      if (page instanceof Promise)
        return page.then((read) => this.#take(progress, read) ?? this.#continue(progress));
      const verdict = this.#take(progress, page);
      if (verdict) return verdict;
    }
  }

  /** Sends a page. @returns the verdict at the end of the replay */
  #take(progress: Progress, { entries, position, isComplete, isLast }: Page): Verdict | undefined {
    if (!isComplete) {
      progress.status = "gap";
      // A first page that is incomplete shows what the client has missed; a later one, that it is too slow.
      if (progress.pages > 0) progress.overtakings++;
    }
    progress.pages++;
    if (progress.overtakings > maxOvertakings) {
      // The member would never catch up: skip to the head, where the next page is empty.
      progress.overtakings = 0;
      progress.start = { last: 0 };
      return undefined;
    }
    const { hub } = this.#options;
    for (const entry of entries) {
      this.#member.gateway.deliver([this.#member], entry);
      this.#sentBytes += entry.json.length;
    }
    hub.delivered += entries.length;
    progress.missed += entries.length;
    progress.start = { after: position };
    return isLast ? this.#finish(progress, position) : undefined;
  }

  #finish({ room, status, missed }: Progress, position: Position): Verdict {
    this.#options.hub.release(this.#member, room, position.seq);
    return verdictOf(position, status, missed);
  }

  /** Waits until the member has read most of what was sent to it. */
  async #pause(): Promise<void> {
    // What was sent is written at the end of the turn.
    await turn();
    await this.#member.whenReady();
    this.#sentBytes = 0;
  }
}

const verdictOf = (head: Position, status: Verdict["status"], missed: number): Verdict => ({
  offset: offsetOf(head),
  status,
  missed,
});
