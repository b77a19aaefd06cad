import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { RoomName } from "../../src/protocol.ts";
import { check } from "../properties/checks.ts";
import { StockPeer } from "../properties/stock-peer.ts";
import type { Cluster, ClusterNode } from "../support/cluster.ts";
import { Deferred, within } from "../support/deferred.ts";
import { Random } from "../support/random.ts";
import { until } from "../support/until.ts";
import { Counts, LoadMember, type LoadPlan, userIn } from "./load-member.ts";

/** How long a node may be silent, and a lost user counts as present, in milliseconds. */
export const leaseMs = 3_000;
export const graceMs = 1_000;
/** The time in which the counts of members must be right after a fault: a moment more than the two. */
export const settleMs = leaseMs + graceMs + 1_000;

/** The longest time in which a request must be answered, in milliseconds. */
const longestAnswerMs = 3_000;
const historySize = 10_000;
const paceMs = 10;

/** The arguments of the nodes. Their logs are large enough that nothing expires. */
export const nodeArgs = [
  ...["--node-timeout", String(leaseMs), "--presence-grace", String(graceMs)],
  ...["--history-size", String(historySize)],
];

/** What a fault has done. */
export interface Outcome {
  /** The members that have lost their connection, one entry for each connection. */
  lost?: readonly LoadMember[];
  /** The users that were gone for longer than the grace, each once. */
  departed?: readonly string[];
  /** Members whose requests may stay unanswered, because their node was stopped. */
  excused?: readonly LoadMember[];
  /** How often Redis has lost its data. */
  lostLogs?: number;
}

/** Members that steadily send messages, and checks that the fault which happens meanwhile did no harm. */
export class Load {
  readonly members: LoadMember[] = [];
  readonly #cluster: Cluster;
  readonly #failed = new Deferred<never>();
  readonly #messagesPerSecond: number;
  #timer: NodeJS.Timeout | undefined;
  #said = 0;

  constructor(cluster: Cluster, messagesPerSecond: number) {
    this.#cluster = cluster;
    this.#messagesPerSecond = messagesPerSecond;
  }

  get active(): LoadMember[] {
    return this.members.filter(({ isActive }) => isActive);
  }

  get rooms(): RoomName[] {
    return [...new Set(this.members.flatMap(({ rooms }) => [...rooms]))];
  }

  /** The number of messages that were acked. */
  get acked(): number {
    return this.members.reduce((sum, { sent }) => sum + sent.length, 0);
  }

  /** The members on a node. */
  on({ port }: ClusterNode): LoadMember[] {
    return this.members.filter(({ isOnline, link }) => isOnline && link.target === port);
  }

  /** Connects the nth member. */
  async open(plan: LoadPlan, n: number): Promise<void> {
    const link = await this.#cluster.link(n);
    const { name, userId = name } = plan;
    const member: LoadMember = new LoadMember(plan, {
      ...{ name, userId, isSteady: false, random: new Random(n), link },
      open: (listener) =>
        new StockPeer(
          { way: "websocket", url: link.url, namespace: "/", reconnectionDelayMs: 100 },
          listener,
        ),
      journal: () => {},
      failed: (finding) => this.#failed.reject(finding),
    });
    this.members.push(member);
    await this.#within("the first connection", member.online);
    for (const room of member.rooms) await member.watch(room);
  }

  /** Begins to send messages, at a steady rate whatever happens. */
  start(): void {
    const startMs = performance.now();
    const { active } = this;
    this.#timer = setInterval(() => {
      const due = ((performance.now() - startMs) / 1_000) * this.#messagesPerSecond;
      for (; this.#said < due; this.#said++) {
        const member = active[this.#said % active.length] as LoadMember;
        const rooms = [...member.rooms];
        member.say(rooms[Math.floor(this.#said / active.length) % rooms.length] as RoomName);
      }
    }, paceMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Resolves when each of these members has sent a few more messages that were acked. */
  async progress(members: readonly LoadMember[] = this.active): Promise<void> {
    const goals = members.map(({ sent }) => sent.length + 3);
    const isReached = () => members.every(({ sent }, n) => sent.length >= (goals[n] as number));
    await this.#within(
      "acks",
      until(() => assert.equal(isReached(), true)),
    );
  }

  /**
   * Waits until the counts of members and the lists of users are right, asked on each node.
   *
   * @param without nodes that cannot be reached, and whose members do not count
   */
  async settled(longestMs = settleMs, ...without: ClusterNode[]): Promise<void> {
    const nodes = this.#cluster.nodes.filter((node) => node.isInService && !without.includes(node));
    const askers = nodes.flatMap((node) =>
      this.rooms.map((room) => [room, this.on(node).find(({ rooms }) => rooms.has(room))] as const),
    );
    const away = () => without.flatMap((node) => this.on(node));
    await this.#within(
      "right counts",
      until(async () => {
        const present = this.members.filter((member) => member.isOnline && !away().includes(member));
        for (const [room, asker] of askers) if (asker) await mustCount(asker, room, present);
      }, longestMs),
    );
  }

  /** Ends the load and checks that nobody has noticed more of the fault than it has done. */
  async conclude({ lost = [], departed = [], excused = [], lostLogs = 0 }: Outcome = {}): Promise<void> {
    this.stop();
    await this.#within("acks", Promise.all(this.active.map((member) => member.acked())));
    const present = this.members.filter(({ isOnline }) => isOnline);
    await this.#within("the heads of logs", Promise.all(present.map((member) => member.conclude())));
    const limits = { historySize, historyAgeMs: 600_000, historyMemoryMaxBytes: Number.POSITIVE_INFINITY };
    check(this.members, { ...limits, restarts: 0, lostLogs });
    for (const member of this.members) {
      const { name, gaps, slowestMs, disconnects } = member;
      const losses = lost.filter((one) => one === member).length;
      assert.equal(disconnects, losses, `lost connections of ${name}`);
      if (lostLogs === 0) assert.deepEqual(gaps, [], `gaps of ${name}`);
      if (!excused.includes(member))
        assert.equal(slowestMs <= longestAnswerMs, true, `${name} waited for ${slowestMs} ms`);
    }
    await until(() => this.#checkNews(lost, departed));
  }

  /** Checks that members which stayed connected were told once of each lost connection and each departed user. */
  #checkNews(lost: readonly LoadMember[], departed: readonly string[]): void {
    for (const { name, rooms, losses, departures, disconnects } of this.members) {
      if (disconnects > 0) continue;
      for (const room of rooms)
        for (const userId of new Set(this.members.map((member) => member.userId))) {
          const others = lost.filter((member) => member.userId === userId && member.rooms.has(room));
          const key = userIn(room, userId);
          assert.equal(losses.of(key), others.length, `"disconnected!" of ${key}, heard by ${name}`);
          const isDeparted = departed.includes(userId) && others.length > 0;
          assert.equal(departures.of(key), isDeparted ? 1 : 0, `departures of ${key}, heard by ${name}`);
        }
    }
  }

  #within<T>(what: string, promised: Promise<T>): Promise<T> {
    return within(what, Promise.race([promised, this.#failed.promise]));
  }
}

/** Asserts that `join` and `who` count the members that are connected, and no others. */
async function mustCount(asker: LoadMember, room: RoomName, present: readonly LoadMember[]): Promise<void> {
  const members = present.filter(({ rooms }) => rooms.has(room));
  const connections = new Counts();
  for (const { userId } of members) connections.add(userId);
  const users = [...connections].map(([userId, count]) => ({ userId, connections: count }));
  const who = await asker.who(room);
  assert.deepEqual(who && "users" in who ? who.users.toSorted(byUser) : who, users.toSorted(byUser));
  assert.equal((await asker.join(room, {}))?.members, members.length);
}

const byUser = (one: { userId: string }, other: { userId: string }) => (one.userId < other.userId ? -1 : 1);

/** Starts a load on a cluster, which ends with the test. */
export async function startLoad(
  t: TestContext,
  cluster: Cluster,
  plans: readonly LoadPlan[],
  messagesPerSecond = 40,
): Promise<Load> {
  const load = new Load(cluster, messagesPerSecond);
  t.after(() => {
    load.stop();
    for (const member of load.members) member.close();
  });
  await Promise.all(plans.map((plan, n) => load.open(plan, n)));
  await load.settled();
  load.start();
  await load.progress();
  return load;
}
