import { setTimeout as sleep } from "node:timers/promises";
import { Finding } from "../fuzz/target.ts";
import { Deferred } from "../support/deferred.ts";
import { FaultyLink } from "../support/faulty-link.ts";
import { Random } from "../support/random.ts";
import { check } from "./checks.ts";
import type { History } from "./history.ts";
import { Member } from "./member.ts";
import type { PeerListener } from "./peer.ts";
import { type MemberPlan, type Plan, plan } from "./plan.ts";
import { RawPeer } from "./raw-peer.ts";
import { type ClusterOptions, Servers } from "./servers.ts";
import { StockPeer } from "./stock-peer.ts";

const longestRunMs = 60_000;
const mostLines = 80;

/** What happens on the servers of one seed. */
export class Run {
  readonly #plan: Plan;
  readonly #servers: Servers;
  readonly #failed = new Deferred<never>();
  readonly #journal: string[] = [];
  #members: Member[] = [];

  constructor(seed: number, cluster: ClusterOptions) {
    this.#plan = plan(seed);
    this.#servers = new Servers(this.#plan.options, cluster);
  }

  get histories(): readonly History[] {
    return this.#members;
  }

  /** What happened last, one line each. */
  get journal(): readonly string[] {
    const { seed, namespace, options, rooms, members } = this.#plan;
    const ways = members.map(({ name, way }) => `${name}: ${way}`);
    return [JSON.stringify({ seed, namespace, rooms, ...options }), ways.join(", "), ...this.#journal];
  }

  /** Carries out the plan of the seed. @throws {Finding} if a guarantee is broken */
  async carryOut(): Promise<void> {
    const over = new AbortController();
    try {
      await this.#servers.start();
      await Promise.race([this.#act(), this.#failed.promise, this.#late(over.signal)]);
      const { restarts, lostLogs } = this.#servers;
      check(this.#members, { ...this.#plan.options, restarts, lostLogs });
    } finally {
      over.abort();
      for (const member of this.#members) member.close();
      await this.#servers.close();
    }
  }

  /** Ends the run early. */
  stop(): void {
    this.#failed.reject(new Finding("the run was stopped"));
  }

  async #act(): Promise<void> {
    const { rooms, members, restartAfterMs } = this.#plan;
    const steady = await this.#open(members.filter(({ isSteady }) => isSteady));
    await Promise.all(steady.flatMap((member) => rooms.map((room) => member.join(room))));
    await this.#open(members.filter(({ isSteady }) => !isSteady));
    const acts = this.#members.map((member) => member.carryOut());
    if (restartAfterMs !== undefined) acts.push(sleep(restartAfterMs).then(() => this.#servers.restart()));
    await Promise.all(acts);
    await Promise.all(this.#members.map((member) => member.conclude()));
  }

  async #open(plans: readonly MemberPlan[]): Promise<Member[]> {
    const opened = await Promise.all(plans.map((member, n) => this.#openMember(member, n)));
    this.#members = [...this.#members, ...opened];
    return opened;
  }

  async #openMember(member: MemberPlan, index: number): Promise<Member> {
    const link = await FaultyLink.open(() => this.#servers.ports);
    link.move(Random.of(this.#plan.seed, index));
    const { way, reconnectionDelayMs } = member;
    const options = { way, reconnectionDelayMs, url: link.url, namespace: this.#plan.namespace };
    return new Member({
      plan: member,
      seed: this.#plan.seed,
      link,
      open: (listener: PeerListener) => new (way.startsWith("raw") ? RawPeer : StockPeer)(options, listener),
      journal: (line) => this.#note(line),
      failed: (finding) => this.#failed.reject(finding),
    });
  }

  #note(line: string): void {
    this.#journal.push(`${(performance.now() / 1_000).toFixed(3)} ${line}`);
    if (this.#journal.length > mostLines) this.#journal.shift();
  }

  async #late(signal: AbortSignal): Promise<never> {
    await sleep(longestRunMs, undefined, { signal });
    const states = this.#members.map(({ state }) => state).join("; ");
    throw new Finding(`the run does not end: ${states}`);
  }
}
