import { setImmediate as turn } from "node:timers/promises";
import type { NamespaceName, RoomName, UserId } from "../protocol.ts";
import type { RedisLink } from "./link.ts";

/** A membership that has ended, or a connection. */
export interface Departure {
  readonly namespace: NamespaceName;
  readonly connection: string;
  readonly userId: UserId;
  /** Whether its client may come back within the grace period. */
  readonly isLost: boolean;
  /** "" for the connection itself. */
  readonly room: RoomName;
  /** The announcement as JSON; "" if nobody is told. */
  readonly json: string;
  /** Whether the connection is a member again, or is becoming one. */
  isObsolete?(): boolean;
}

const batchSize = 100;

/** The last arguments of the script `exit`. */
export const exitArguments = (departures: readonly Departure[]): string[] =>
  departures.flatMap(({ namespace, connection, userId, isLost, room, json }) => [
    namespace,
    connection,
    userId,
    isLost ? "1" : "0",
    room,
    json,
  ]);

/**
 * Removes what has ended from Redis. While Redis is away, that waits: it cannot fail. Removing a membership twice
 * announces it once.
 */
export class Departures {
  readonly #link: RedisLink;
  readonly #graceMs: number;
  readonly #nodeId: () => string;
  /** Called when users whose connection was lost have entered their grace period. */
  onLost: () => void = () => {};
  #waiting: Departure[] = [];
  #flushed: Promise<void> | undefined;

  constructor(link: RedisLink, { graceMs, nodeId }: { graceMs: number; nodeId: () => string }) {
    this.#link = link;
    this.#graceMs = graceMs;
    this.#nodeId = nodeId;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Resolves when they were removed, or must wait. */
  add(departures: readonly Departure[]): Promise<void> {
    this.#waiting.push(...departures);
    return turn().then(() => this.flush());
  }

  /** Forgets what other nodes have removed already. */
  clear(): void {
    this.#waiting = [];
  }

  /** Removes what waits. If Redis is away, the rest waits for the next call. */
  flush(): Promise<void> {
    this.#flushed ??= this.#run().finally(() => {
      this.#flushed = undefined;
    });
    return this.#flushed;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#link.problem) {
      const batch = this.#waiting.splice(0, batchSize).filter((departure) => !departure.isObsolete?.());
      try {
        await this.#link.run("exit", 0, this.#nodeId(), 0, this.#graceMs, ...exitArguments(batch));
        if (batch.some(({ isLost }) => isLost)) this.onLost();
      } catch {
        this.#waiting.unshift(...batch);
        return;
      }
    }
  }
}
