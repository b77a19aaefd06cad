import type { ErrorCode } from "../../src/errors.ts";
import { Deferred } from "../support/deferred.ts";
import type { Peer } from "./peer.ts";

export type Reply<T> = T | { error: { code: ErrorCode; message: string } };

/** The requests of a connection that were not answered yet. */
export class Requests {
  readonly #open = new Map<(reply: unknown) => void, string>();

  /** @returns undefined if the connection is lost before the reply comes */
  send<T>(
    peer: Peer,
    event: string,
    args: unknown[],
    replied: (reply: Reply<T>) => void,
  ): Promise<Reply<T> | undefined> {
    const answer = new Deferred<Reply<T> | undefined>();
    this.#open.set(answer.resolve as (reply: unknown) => void, `${event} ${JSON.stringify(args)}`);
    peer.request(event, args, (reply) => {
      if (!this.#open.delete(answer.resolve as (reply: unknown) => void)) return;
      replied(reply as Reply<T>);
      answer.resolve(reply as Reply<T>);
    });
    return answer.promise;
  }

  /** The connection was lost. */
  lose(): void {
    for (const resolve of this.#open.keys()) resolve(undefined);
    this.#open.clear();
  }

  /** Lists them for a report. */
  toString(): string {
    return [...this.#open.values()].map((text) => text.slice(0, 80)).join(", ") || "none";
  }
}
