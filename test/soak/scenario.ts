import { setMaxListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { NamespaceName } from "../../src/protocol.ts";
import type { EngineOptions } from "../support/engine-client.ts";
import { PollingClient } from "../support/polling-client.ts";
import { Random } from "../support/random.ts";
import { WebSocketClient } from "../support/websocket-client.ts";
import * as attackers from "./attackers.ts";
import { RawClient } from "./clients.ts";
import type { ExpectedCounts } from "./expected-counts.ts";
import * as faulty from "./faulty-clients.ts";
import * as frameAttackers from "./frame-attackers.ts";
import { RealClient } from "./real-client.ts";
import * as refused from "./refused-clients.ts";
import * as regular from "./regular-clients.ts";
import { bye, enter, Room } from "./rooms.ts";
import type { ServerProcess } from "./server-process.ts";

/** A hand-driven client over a WebSocket. */
export type SocketClient = RawClient<WebSocketClient>;
/** A hand-driven client over long-polling. */
export type Poller = RawClient<PollingClient>;

/** What a client does from connecting to disconnecting. */
export type Behavior = (scenario: Scenario, userId: string, random: Random) => Promise<void>;

const weights: [Record<string, Behavior>, Record<string, number>][] = [
  [
    regular as never,
    { talker: 60, commuter: 8, poller: 8, realClient: 14, realPoller: 5, upgrader: 8, slowReader: 1 },
  ],
  [
    faulty as never,
    { staller: 2, silentPoller: 2, flooder: 3, returner: 3, mute: 2, violator: 5, abortingPoller: 2 },
  ],
  [
    refused as never,
    { foreign: 3, foreignPoller: 2, nameless: 2, numbered: 1, greedy: 1, astray: 1, realInvalid: 1 },
  ],
  [attackers as never, { pipeliner: 2, joinLeaveAmplifier: 1, sidThief: 2 }],
  [frameAttackers as never, { fragmenter: 2, ponger: 1, deepJson: 1 }],
];

/** Every kind of client and how often it is chosen. */
const kinds = weights.flatMap(([behaviors, chances]) =>
  Object.entries(chances).map(([name, weight]) => ({ name, weight, behave: behaviors[name] as Behavior })),
);

/** How many clients run and for how long, and the seed of their choices. */
export interface Run {
  clients: number;
  seconds: number;
  seed: number;
  /** The names of the kinds of clients that run; all of them by default. */
  only?: string[];
  /** The names of the kinds of clients that do not run. */
  except?: string[];
}

/** A run ends early after this many different problems: more would add nothing new. */
const enoughProblems = 20;

/**
 * Pause between the first clients: on a machine that is too busy, clients that do read would be disconnected.
 */
const betweenStartsMs = 20;

/** One run of all kinds of clients against a server: its rooms and the means to connect clients. */
export class Scenario {
  readonly server: ServerProcess;
  readonly counts: ExpectedCounts;
  /** Each of these rooms has an observer during the run. */
  readonly rooms: readonly Room[];
  readonly #run: Run;
  readonly #kinds: typeof kinds;
  readonly #end = new AbortController();
  #privateRooms = 0;

  constructor(server: ServerProcess, counts: ExpectedCounts, run: Run) {
    this.server = server;
    this.counts = counts;
    this.#run = run;
    this.#kinds = kinds.filter(
      ({ name }) => (run.only?.includes(name) ?? true) && !run.except?.includes(name),
    );
    const count = Math.max(4, Math.ceil(run.clients / 8));
    this.rooms = Array.from({ length: count }, (_, n) => new Room(n % 3 === 2 ? "/chat" : "/", `room-${n}`));
    setMaxListeners(0, this.#end.signal);
  }

  /**
   * Each client runs one behaviour after another until the time is up. Resolves when all have disconnected.
   */
  async play(): Promise<void> {
    const observers = await Promise.all(this.rooms.map((room, n) => this.#observe(room, n)));
    setTimeout(() => this.#end.abort(), this.#run.seconds * 1_000);
    await Promise.all(
      Array.from({ length: this.#run.clients }, async (_, n) => {
        await this.pause(n * betweenStartsMs);
        await this.#playClient(n, new Random(this.#run.seed * 100_003 + n));
      }),
    );
    const leaving = observers.map((client) =>
      bye(client).catch((error) => this.counts.problem(`observer: ${error.message}`)),
    );
    await Promise.all(leaving);
  }

  /** Whether the time is up: no new action begins, but those in progress complete. */
  get isOver(): boolean {
    return this.#end.signal.aborted;
  }

  /** Waits this long, or until the time is up. */
  async pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#end.signal }).catch(() => {});
  }

  roomsOf(namespace: NamespaceName): Room[] {
    return this.rooms.filter((room) => room.namespace === namespace);
  }

  /** A room that no other client enters. */
  privateRoom(namespace: NamespaceName, prefix = "private"): Room {
    return new Room(namespace, `${prefix}-${this.#privateRooms++}`);
  }

  openWebSocket(options: EngineOptions = {}): WebSocketClient {
    return new WebSocketClient(this.server.url, { traffic: this.counts, ...options });
  }

  openPolling(options: EngineOptions = {}): PollingClient {
    return new PollingClient(this.server.url, { traffic: this.counts, ...options });
  }

  async socketClient(
    namespace: NamespaceName,
    userId: string,
    rooms: readonly Room[],
  ): Promise<SocketClient> {
    const engine = await this.openWebSocket().opened;
    return enter(rooms, (names) => new RawClient(engine, this.counts, namespace, userId).connect(names));
  }

  async pollingClient(namespace: NamespaceName, userId: string, rooms: readonly Room[]): Promise<Poller> {
    const engine = await this.openPolling().opened;
    return enter(rooms, (names) => new RawClient(engine, this.counts, namespace, userId).connect(names));
  }

  realClient(
    namespace: NamespaceName,
    userId: string,
    rooms: readonly Room[],
    ...transports: ("polling" | "websocket")[]
  ): Promise<RealClient> {
    return enter(rooms, (room) =>
      new RealClient(this.counts, this.server.url, { namespace, userId, room, transports }).connected(),
    );
  }

  async #observe(room: Room, n: number): Promise<SocketClient> {
    const client = await this.socketClient(room.namespace, `observer-${n}`, [room]);
    room.observeBy(client);
    return client;
  }

  /** The clients begin with one of each kind, so that a short run includes them all. */
  async #playClient(n: number, random: Random): Promise<void> {
    let kind = this.#kinds[n % this.#kinds.length];
    while (!this.isOver) {
      kind ??= random.weighted(this.#kinds.map((kind) => [kind.weight, kind]));
      try {
        await kind.behave(this, `u${n}`, random);
      } catch (error) {
        this.counts.problem(`${kind.name}: ${(error as Error).message}`);
        if (this.counts.problems.size > enoughProblems) this.#end.abort();
        await this.pause(1_000);
      }
      kind = undefined;
      await this.pause(random.between(0, 500));
    }
  }
}
