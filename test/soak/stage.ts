import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { NamespaceName } from "../../src/protocol.ts";
import { GenuineGuest } from "./genuine-guest.ts";
import type { House } from "./house.ts";
import type { Ledger } from "./ledger.ts";
import { enter } from "./membership.ts";
import { PollingWire } from "./polling-wire.ts";
import { RawGuest } from "./raw-guest.ts";
import { Room } from "./room.ts";
import { WebSocketWire } from "./websocket-wire.ts";

/** A guest on a WebSocket of its own that speaks by hand. */
export type Talker = RawGuest<WebSocketWire>;

/** A guest that polls by hand. */
export type Poller = RawGuest<PollingWire>;

/** The rooms that have a host, for so many clients. */
function roomsFor(clients: number): Room[] {
  const count = Math.max(4, Math.ceil(clients / 8));
  return Array.from({ length: count }, (_, n) => new Room(n % 3 === 2 ? "/chat" : "/", `room-${n}`));
}

/** Where one act of the soak is played: the server, its rooms, and how clients of each kind come. */
export class Stage {
  readonly house: House;
  readonly ledger: Ledger;
  /** Each has a host while the act lasts. */
  readonly rooms: readonly Room[];
  readonly #curtain = new AbortController();
  #nooks = 0;

  constructor(house: House, ledger: Ledger, clients: number) {
    this.house = house;
    this.ledger = ledger;
    this.rooms = roomsFor(clients);
    setMaxListeners(0, this.#curtain.signal);
  }

  /** Nobody begins anything any more; what has begun is brought to its end. */
  get isOver(): boolean {
    return this.#curtain.signal.aborted;
  }

  end(): void {
    this.#curtain.abort();
  }

  /** Waits so long, or until the act is over. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#curtain.signal }).catch(() => {});
  }

  roomsOf(namespace: NamespaceName): Room[] {
    return this.rooms.filter((room) => room.namespace === namespace);
  }

  /** A room for one scene. */
  nook(namespace: NamespaceName): Room {
    return new Room(namespace, `nook-${this.#nooks++}`);
  }

  get address(): string {
    return `${this.house.url}/socket.io/?by=soak`;
  }

  async talker(namespace: NamespaceName, userId: string, rooms: readonly Room[]): Promise<Talker> {
    const guest = new RawGuest(await WebSocketWire.open(this.ledger, this.address), namespace, userId);
    return enter(this.ledger, rooms, (names) => guest.connect(names));
  }

  async poller(namespace: NamespaceName, userId: string, rooms: readonly Room[]): Promise<Poller> {
    const guest = new RawGuest(await PollingWire.open(this.ledger, this.address), namespace, userId);
    return enter(this.ledger, rooms, (names) => guest.connect(names));
  }

  genuine(
    namespace: NamespaceName,
    userId: string,
    rooms: readonly Room[],
    ...transports: ("polling" | "websocket")[]
  ): Promise<GenuineGuest> {
    const { url } = this.house;
    return enter(this.ledger, rooms, (room) =>
      new GenuineGuest(this.ledger, { url, namespace, userId, room, transports }).connected(),
    );
  }
}
