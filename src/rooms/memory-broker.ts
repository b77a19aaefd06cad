import type { Message, Receipt, RoomName } from "../protocol.ts";
import type { Broker, BrokerListener, Publication } from "./broker.ts";
import type { Connection } from "./connection.ts";
import type { Dedup, Remembered } from "./dedup.ts";
import { UnloggedEvent } from "./envelope.ts";
import type { HistoryPage, Page, RoomLog, Start } from "./log.ts";
import type { LogStore, NamespaceLogs } from "./log-store.ts";
import { offsetOf, type Position } from "./position.ts";

/** The broker of a single node: it keeps the logs in memory, and publishing a message delivers it synchronously. */
export class MemoryBroker implements Broker {
  readonly #listener: BrokerListener;
  readonly #store: LogStore;
  readonly #home: NamespaceLogs;
  readonly #dedup: Dedup;

  constructor(listener: BrokerListener, store: LogStore, dedup: Dedup) {
    this.#listener = listener;
    this.#store = store;
    this.#home = store.namespace();
    this.#dedup = dedup;
  }

  publish({ message, isTransient, dedupKey }: Publication): Receipt {
    const known = dedupKey === undefined ? undefined : this.published(dedupKey);
    if (known) return { ...known, recipients: 0, duplicate: true };
    let recipients = 0;
    const offsets: Record<RoomName, string> = {};
    for (const room of message.rooms)
      recipients += isTransient ? this.#pass(room, message) : this.#log(room, message, offsets);
    const receipt = { id: message.id, rooms: message.rooms, recipients, offsets, duplicate: false };
    if (dedupKey !== undefined) this.#dedup.add(dedupKey, receipt, performance.now());
    return receipt;
  }

  #log(room: RoomName, message: Message, offsets: Record<RoomName, string>): number {
    const log = this.#open(room);
    const entry = this.#store.append(log, message);
    setOffset(offsets, room, offsetOf(log));
    return this.#listener.received(room, entry);
  }

  #pass(room: RoomName, message: Message): number {
    return this.#listener.received(room, new UnloggedEvent("res", { ...message, room }, true));
  }

  announce(room: RoomName, message: Message, except?: Connection): void {
    this.#listener.received(room, new UnloggedEvent("res", { ...message, room }), except);
  }

  published(dedupKey: string): Remembered | undefined {
    return this.#dedup.get(dedupKey, performance.now());
  }

  head(room: RoomName): Position {
    return this.#open(room).head;
  }

  read(room: RoomName, start: Start, maxBytes: number): Page {
    return this.#open(room).read(start, maxBytes);
  }

  history(room: RoomName, before: Position | undefined, limit: number, maxBytes: number): HistoryPage {
    return this.#open(room).history(before, limit, maxBytes);
  }

  subscribe(room: RoomName): void {
    this.#store.pin(this.#open(room));
  }

  unsubscribe(room: RoomName): void {
    this.#store.unpin(this.#open(room));
  }

  #open(room: RoomName): RoomLog {
    return this.#store.open(this.#home, room);
  }
}

/** A room may be named `__proto__`. */
function setOffset(offsets: Record<RoomName, string>, room: RoomName, offset: string): void {
  if (room === "__proto__") Object.defineProperty(offsets, room, { value: offset, enumerable: true });
  else offsets[room] = offset;
}
