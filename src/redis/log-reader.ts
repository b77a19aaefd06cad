import { ClientError } from "../errors.ts";
import type { Message, NamespaceName, RoomName } from "../protocol.ts";
import { type HistoryPage, LogEntry, type Page, type Start } from "../rooms/log.ts";
import { newEpoch, type Position } from "../rooms/position.ts";
import { TurnCache } from "../rooms/turn-cache.ts";
import type { Channel } from "./channel.ts";
import type { Missed } from "./channel-owner.ts";
import type { Node } from "./node.ts";

/** Bytes of the log that a channel reads at once when it catches up. */
const catchUpBytes = 256_000;

/** What the script `read` returns. */
type ReadReply = [
  epoch: string,
  seq: number,
  isComplete: 0 | 1,
  lastRead: number,
  entries: string[],
  members?: number,
  change?: number,
  changes?: string[],
];

/** Reads the logs of one namespace from Redis. Its methods throw the {@link ClientError} `unavailable`. */
export class LogReader {
  readonly #namespace: NamespaceName;
  readonly #node: Node;
  /** Clients that reconnect together read the same messages. */
  readonly #reads = new TurnCache<string, Promise<ReadReply>>();

  constructor(namespace: NamespaceName, node: Node) {
    this.#namespace = namespace;
    this.#node = node;
  }

  /** Reads messages to replay, from the channel if it has them. */
  async read(channel: Channel, start: Start, maxBytes: number): Promise<Page> {
    const { position } = channel;
    if (!position) throw new ClientError("closing");
    const from =
      "after" in start ? start.after : { epoch: position.epoch, seq: Math.max(0, position.seq - start.last) };
    const kept = channel.isStalled ? undefined : channel.after(from);
    if (kept) return pageOf(from, kept, position, maxBytes);
    const [epoch, head, isFollowing, seq, texts] = await this.#read(channel.room, from, maxBytes);
    const live = channel.position;
    if (channel.isStalled || live?.epoch !== epoch) {
      await channel.catchUp();
      return this.read(channel, start, maxBytes);
    }
    const place = { epoch, seq: channel.keptAfter };
    // The log holds nothing: the channel goes on with what it has kept, and with live messages.
    if (isFollowing === 0 && texts.length === 0)
      return { entries: [], position: place, isComplete: "last" in start, isLast: false };
    const before = seq - texts.length;
    // What the log no longer holds, but the channel does.
    const older = isFollowing === 0 ? (channel.after(place) ?? []).filter((kept) => kept.seq <= before) : [];
    // What neither holds is still on its way to this node.
    const isOvertaken = isFollowing === 0 && before > live.seq;
    const isComplete = isFollowing === 1 || ("last" in start && !isOvertaken);
    // The live messages may be ahead of what was read: then what is between comes next.
    const isLast = seq === head && seq >= live.seq;
    const entries = [...older, ...entriesOf(texts, seq)];
    return { entries, position: { epoch, seq }, isComplete, isLast };
  }

  #read(room: RoomName, { epoch, seq }: Position, maxBytes: number): Promise<ReadReply> {
    const { link, historyAgeMs } = this.#node;
    const args = [this.#namespace, room, "after", newEpoch(), epoch, seq, maxBytes, historyAgeMs, ""];
    return this.#reads.get([room, epoch, seq, maxBytes].join("\n"), () => link.run("read", ...args));
  }

  /** Reads what a channel has missed. @param change the number of the last change that it knows */
  async missed(room: RoomName, position: Position | undefined, change: number): Promise<Missed> {
    const { link, historyAgeMs } = this.#node;
    const [mode, from] = position
      ? (["after", position] as const)
      : (["last", { epoch: "", seq: 0 }] as const);
    const args = [this.#namespace, room, mode, newEpoch(), from.epoch, from.seq, catchUpBytes, historyAgeMs];
    const reply = await link.run<ReadReply>("read", ...args, change);
    const [epoch, seq, isComplete, lastRead, texts, members = 0, lastChange = 0, changes = []] = reply;
    return {
      head: { epoch, seq },
      isComplete: isComplete === 1,
      seq: lastRead,
      entries: entriesOf(texts, lastRead),
      members,
      change: lastChange,
      changes,
    };
  }

  /** Reads messages backwards. */
  async history(
    room: RoomName,
    before: Position | undefined,
    limit: number,
    maxBytes: number,
  ): Promise<HistoryPage> {
    const { link, historyAgeMs } = this.#node;
    const args = [this.#namespace, room, newEpoch(), before?.epoch ?? "", before?.seq ?? 0, limit, maxBytes];
    type Reply = [epoch: string, seq: number, isMore: 0 | 1, texts: string[]];
    const [epoch, seq, isMore, texts] = await link.run<Reply>("history", ...args, historyAgeMs);
    const messages = texts.toReversed().map((json) => JSON.parse(json) as Message);
    return { messages, more: isMore === 1, head: { epoch, seq } };
  }
}

/** @param lastSeq the number of the last one */
const entriesOf = (texts: readonly string[], lastSeq: number): LogEntry[] =>
  texts.map((json, index) => new LogEntry(lastSeq - texts.length + 1 + index, json));

/** A page of messages that the channel has kept; it is the last one if all of them fit. */
function pageOf(from: Position, kept: readonly LogEntry[], { epoch, seq }: Position, maxBytes: number): Page {
  const entries: LogEntry[] = [];
  let bytes = 0;
  for (const entry of kept) {
    if (entries.length > 0 && bytes >= maxBytes) break;
    entries.push(entry);
    bytes += entry.json.length;
  }
  const isLast = entries.length === kept.length;
  return {
    entries,
    position: { epoch, seq: isLast ? seq : (entries.at(-1)?.seq ?? from.seq) },
    isComplete: true,
    isLast,
  };
}
