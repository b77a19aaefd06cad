import { nextTick } from "node:process";

/** Packets of one connection that wait until the earlier ones are handled. */
export class Inbox<Packet> {
  /** Steps of the connection that are not done; its next packet waits for them. */
  pendingSteps = 0;
  /** When the connection first waited for a reader, in milliseconds of `performance.now()`. */
  heldSince: number | undefined = undefined;
  readonly #packets: Packet[] = [];
  /** Index of the next packet to handle. */
  #next = 0;
  readonly #idle: (() => void)[] = [];

  add(packet: Packet): void {
    this.#packets.push(packet);
  }

  get isEmpty(): boolean {
    return this.#next === this.#packets.length;
  }

  /** Removes the next packet. Call it only if the inbox is not empty. */
  take(): Packet {
    return this.#packets[this.#next++] as Packet;
  }

  /** Calls back once no packet waits any more. */
  whenIdle(done: () => void): void {
    this.#idle.push(done);
  }

  /** Runs the callbacks of {@link whenIdle}. If one throws, the others run all the same. */
  reportIdle(): void {
    for (const done of this.#idle) {
      try {
        done();
      } catch (error) {
        // Outside of the pacer, which has other connections to handle.
        nextTick(rethrow, error);
      }
    }
  }
}

function rethrow(error: unknown): never {
  throw error;
}
