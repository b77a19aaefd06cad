import type { Message, Receipt, RoomName, UserId } from "../protocol.ts";
import type { Broker, Entrance, Move, Publication } from "./broker.ts";
import type { Connection } from "./connection.ts";
import type { Dedup, Remembered } from "./dedup.ts";
import { UnloggedEvent } from "./envelope.ts";
import type { Hub } from "./hub.ts";
import type { HistoryPage, Page, RoomLog, Start } from "./log.ts";
import type { LogStore, NamespaceLogs } from "./log-store.ts";
import type { MemoryPresence } from "./memory-presence.ts";
import { offsetOf, type Position } from "./position.ts";

/** The parts of a {@link MemoryBroker}. */
export interface MemoryBrokerParts {
  hub: Hub;
  presence: MemoryPresence;
  store: LogStore;
  dedup: Dedup;
}

/** The broker of a single node: it keeps the logs in memory, and publishing a message delivers it synchronously. */
export class MemoryBroker implements Broker {
  readonly isShared = false;
  readonly #hub: Hub;
  readonly #presence: MemoryPresence;
  readonly #store: LogStore;
  readonly #home: NamespaceLogs;
  readonly #dedup: Dedup;

  constructor({ hub, presence, store, dedup }: MemoryBrokerParts) {
    this.#hub = hub;
    this.#presence = presence;
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
    return this.#hub.received(room, entry);
  }

  #pass(room: RoomName, message: Message): number {
    return this.#hub.received(room, new UnloggedEvent("res", { ...message, room }, true));
  }

  enter(connection: Connection, entrances: readonly Entrance[]): void {
    for (const { room } of entrances) {
      if (this.#hub.join(connection, room)) this.#store.pin(this.#open(room));
      this.#presence.entered(room, connection);
    }
    for (const entrance of entrances) {
      entrance.entered();
      this.#announce(entrance, entrance.isForOthers ? connection : undefined);
    }
  }

  leave(connection: Connection, move: Move): void {
    if (this.#hub.leave(connection, move.room)) this.#store.unpin(this.#open(move.room));
    this.#left(connection, move, false);
  }

  remove(connection: Connection, moves: readonly Move[], isLost: boolean): void {
    for (const move of moves) {
      if (this.#hub.size(move.room) === 0) this.#store.unpin(this.#open(move.room));
      this.#left(connection, move, isLost);
    }
  }

  #left(connection: Connection, move: Move, isLost: boolean): void {
    this.#presence.left(move.room, connection, isLost);
    this.#announce(move);
  }

  #announce({ room, announcement }: Move, except?: Connection): void {
    if (announcement) this.#hub.received(room, new UnloggedEvent("res", { ...announcement, room }), except);
  }

  size(room: RoomName): number {
    return this.#hub.size(room);
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

  tell(message: Message & { to: UserId }): number {
    return this.#hub.tell(message);
  }

  whisper(message: Message & { to: string }): number {
    return this.#hub.whisper(message);
  }

  isConnected(id: string): boolean {
    return this.#hub.get(id) !== undefined;
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
