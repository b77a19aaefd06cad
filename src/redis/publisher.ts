import type { NamespaceName, RoomName } from "../protocol.ts";
import type { Publication } from "../rooms/broker.ts";
import type { Remembered } from "../rooms/dedup.ts";
import { encodeCopy, encodeStart } from "../rooms/envelope.ts";
import { newEpoch } from "../rooms/position.ts";
import type { RedisLink } from "./link.ts";

/** The most arguments and characters in one call of the script, so that it does not block Redis for long. */
const maxArguments = 4_000;
const maxChars = 1_000_000;

/** How messages are logged. */
export interface PublisherOptions {
  historySize: number;
  historyAgeMs: number;
  dedupTimeMs: number;
  nodeId: () => string;
}

/** What became of a message: what was remembered of an earlier one with the same id, or the recipients and offsets. */
export type Published = string | [recipients: number, ...offsets: string[]];

interface Waiting {
  readonly args: string[];
  published(result: Published): void;
  failed(error: unknown): void;
}

/** Logs and publishes messages. Those of one event loop turn take one call of the script. */
export class Publisher {
  /** The number of published messages. */
  published = 0;
  readonly #link: RedisLink;
  readonly #options: PublisherOptions;
  #waiting: Waiting[] = [];

  constructor(link: RedisLink, options: PublisherOptions) {
    this.#link = link;
    this.#options = options;
  }

  /**
   * @param published called with what became of the message
   * @param failed called with the {@link ClientError} `unavailable`
   */
  publish(
    namespace: NamespaceName,
    publication: Publication,
    published: (result: Published) => void,
    failed: (error: unknown) => void,
  ): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    this.#waiting.push({ args: argumentsOf(namespace, publication), published, failed });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let batch: Waiting[] = [];
    let [count, chars] = [0, 0];
    for (const message of waiting) {
      if (batch.length > 0 && (count + message.args.length > maxArguments || chars > maxChars)) {
        void this.#send(batch);
        batch = [];
        [count, chars] = [0, 0];
      }
      batch.push(message);
      count += message.args.length;
      for (const arg of message.args) chars += arg.length;
    }
    void this.#send(batch);
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const { historySize, historyAgeMs, dedupTimeMs, nodeId } = this.#options;
    const options = [nodeId(), this.#link.deadline, historySize, historyAgeMs, newEpoch(), dedupTimeMs];
    try {
      const messages = batch.flatMap(({ args }) => args);
      const replies = await this.#link.run<Published[]>("publish", ...options, ...messages);
      this.published += batch.length;
      for (const [index, { published }] of batch.entries()) published(replies[index] as Published);
    } catch (error) {
      for (const { failed } of batch) failed(error);
    }
  }
}

function argumentsOf(namespace: NamespaceName, publication: Publication): string[] {
  const { message, isTransient, dedupKey } = publication;
  const { id, rooms } = message;
  const args = [
    dedupKey === undefined ? "" : idKey(namespace, dedupKey),
    dedupKey === undefined ? "" : [id, rooms.length, ...rooms].join("\n"),
    isTransient ? "T" : "M",
    namespace,
    String(rooms.length),
  ];
  for (const room of rooms)
    args.push(room, isTransient ? encodeCopy(message, room, null) : `${encodeStart(message, room)}"`);
  return args;
}

/** Where the receipt of a message is remembered, below the prefix and `id:`. */
export const idKey = (namespace: NamespaceName, dedupKey: string): string => `${namespace}\n${dedupKey}`;

/** Decodes what was remembered, a line each: the message's id, the number of rooms, the rooms, and the offsets. */
export function remembered(text: string): Remembered {
  const [id = "", count, ...lines] = text.split("\n");
  const rooms = lines.slice(0, Number(count));
  return { id, rooms, offsets: offsetsOf(rooms, lines.slice(rooms.length)) };
}

/** The offsets by room; empty for a transient message. */
export function offsetsOf(rooms: readonly RoomName[], offsets: readonly string[]): Record<RoomName, string> {
  return Object.fromEntries(offsets.map((offset, index) => [rooms[index] as RoomName, offset]));
}
