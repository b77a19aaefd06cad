import { setTimeout as sleep } from "node:timers/promises";
import { HealthyClients } from "./healthy-clients.ts";
import { plan } from "./plans.ts";
import { Journal, type Run, Session } from "./session.ts";
import { type Counts, Finding, type Memory, Target } from "./target.ts";

/** The share of the time before memory is first measured, and its upper bound. */
const warmUpShare = 0.3;
const longestWarmUpMs = 20_000;

/** How much memory use may grow after the warm-up: code that is compiled later and caches take some. */
const heapMarginBytes = 4_000_000;
const rssMarginBytes = 120_000_000;

const sessionsAtOnce = 48;

/** A run of the fuzzer against its own server. */
class Campaign {
  readonly #seed: number;
  readonly #target: Target;
  readonly #run: Run;
  #sessions = 0;

  private constructor(seed: number, target: Target) {
    this.#seed = seed;
    this.#target = target;
    const tally = { connections: 0, packets: 0, requests: 0, acks: 0 };
    this.#run = { port: target.port, tally, journal: new Journal(), sids: [], left: new Set() };
  }

  static async start(seed: number): Promise<Campaign> {
    return new Campaign(seed, await Target.start());
  }

  get tally() {
    return { sessions: this.#sessions, ...this.#run.tally };
  }

  get journal(): string[] {
    return this.#run.journal.lines();
  }

  /**
   * Fuzzes for this many seconds. Returns how much the memory in use has grown since the warm-up.
   *
   * @throws {Finding} as soon as something is found
   */
  async fuzz(seconds: number): Promise<Memory> {
    const warmUpMs = Math.min(seconds * 1_000 * warmUpShare, longestWarmUpMs);
    await this.#newcomer();
    const before = await this.#settled();
    const baseline = await this.#phase(warmUpMs, before);
    const after = await this.#phase(seconds * 1_000 - warmUpMs, before);
    await this.#newcomer();
    return grown(baseline, after);
  }

  stop(): void {
    this.#drop();
    this.#target.stop();
  }

  /**
   * Sends traffic alongside healthy clients; then all counts must be as before.
   *
   * @returns the memory still in use
   */
  async #phase(ms: number, before: Counts): Promise<Memory> {
    const healthy = new HealthyClients(this.#target.url, "lobby");
    await this.#watched(healthy.join(), healthy.lost);
    const until = Date.now() + ms;
    const traffic = Array.from({ length: sessionsAtOnce }, () => this.#work(until));
    await this.#watched(Promise.all([healthy.talk(until), ...traffic]), healthy.lost);
    this.#drop();
    healthy.leave();
    await this.#target.returnsTo(before);
    return this.#target.memory();
  }

  async #work(until: number): Promise<void> {
    while (Date.now() < until) {
      const index = this.#sessions++;
      await new Session(this.#run, index).carryOut(plan(this.#seed, index));
    }
  }

  #drop(): void {
    for (const socket of this.#run.left) socket.resetAndDestroy();
  }

  /** Checks that new clients can connect, are served and leave. */
  async #newcomer(): Promise<void> {
    const newcomers = new HealthyClients(this.#target.url, "a room of their own");
    await this.#watched(newcomers.join(), newcomers.lost);
    await this.#watched(newcomers.talk(0), newcomers.lost);
    newcomers.leave();
  }

  /** The counts once they no longer change. */
  async #settled(): Promise<Counts> {
    await sleep(500);
    return this.#target.counts();
  }

  /**
   * Awaits the promise, unless the server or a healthy client fails first; a fault of the server takes
   * precedence.
   */
  async #watched<T>(promise: Promise<T>, lost: Promise<never>): Promise<T> {
    const { fault } = this.#target;
    try {
      return await Promise.race([promise, lost, fault]);
    } catch (finding) {
      await Promise.race([fault, sleep(500)]);
      throw finding;
    }
  }
}

/** How much the memory in use has grown. @throws {Finding} if it is too much */
function grown(baseline: Memory, after: Memory): Memory {
  const heapBytes = after.heapBytes - baseline.heapBytes;
  const rssBytes = after.rssBytes - baseline.rssBytes;
  if (heapBytes > heapMarginBytes || rssBytes > rssMarginBytes) {
    throw new Finding(
      `memory grew since the warm-up: heap by ${megabytes(heapBytes)}, rss by ${megabytes(rssBytes)}`,
    );
  }
  return { heapBytes, rssBytes };
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** Runs a campaign and prints its result. @returns the exit code: 0 if nothing was found, 1 for a finding */
export async function fuzz(seconds: number, seed: number): Promise<number> {
  console.log(`Fuzzing for ${seconds} seconds with --seed ${seed}.`);
  const campaign = await Campaign.start(seed);
  try {
    const grown = await campaign.fuzz(seconds);
    console.log(summary(campaign, { seconds, seed }, grown));
    return 0;
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    console.error(reported(campaign, seed, error));
    return 1;
  } finally {
    campaign.stop();
  }
}

function summary(
  { tally }: Campaign,
  { seconds, seed }: { seconds: number; seed: number },
  grown: Memory,
): string {
  const { sessions, connections, packets, requests, acks } = tally;
  return (
    `Nothing found: ${seconds} seconds, ${sessions} sessions, ${connections} connections opened, ${packets} packets ` +
    `sent, ${requests} HTTP requests, ${acks} events acked, heap ${megabytes(grown.heapBytes)} and rss ` +
    `${megabytes(grown.rssBytes)} more than after the warm-up, seed ${seed}.`
  );
}

function reported({ journal, tally }: Campaign, seed: number, finding: Finding): string {
  return [
    "The bytes that were sent last, the latest at the end:",
    ...journal,
    "",
    `Found with --seed ${seed}, by session ${tally.sessions} or one before it: ${finding.message}`,
  ].join("\n");
}
