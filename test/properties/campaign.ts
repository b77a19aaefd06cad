import { Finding } from "../fuzz/target.ts";
import type { Entry } from "./history.ts";
import { Run } from "./run.ts";
import type { ClusterOptions } from "./servers.ts";

/** How many seeds are carried out at the same time. */
const runsAtOnce = 8;

/** The totals of a campaign, which show that it has tested something. */
export class Tally {
  seeds = 0;
  connections = 0;
  acked = 0;
  duplicates = 0;
  received = 0;
  verdicts = { new: 0, complete: 0, gap: 0 };
  replayed = 0;

  add({ histories }: Run): void {
    this.seeds++;
    for (const { entries, sent } of histories) {
      this.acked += sent.length;
      this.duplicates += sent.filter(({ receipt }) => receipt.duplicate).length;
      for (const entry of entries) this.#count(entry);
    }
  }

  #count(entry: Entry): void {
    if (entry.what === "connected") this.connections++;
    if (entry.what === "message") this.received++;
    if (entry.what !== "verdict") return;
    this.verdicts[entry.verdict.status]++;
    this.replayed += entry.verdict.missed;
  }
}

/** A finding and how to see it again. */
export interface Found {
  seed: number;
  finding: Finding;
  journal: readonly string[];
}

/** Carries out one seed after the other, several at a time, until one breaks a guarantee. */
export class Campaign {
  readonly tally = new Tally();
  readonly #cluster: ClusterOptions;
  readonly #runs = new Set<Run>();
  #found: Found | undefined;

  constructor(cluster: ClusterOptions = { nodes: 1, redis: undefined }) {
    this.#cluster = cluster;
  }

  /** @returns the first finding, if there is one */
  async run(seeds: Iterator<number, unknown>, until = Number.POSITIVE_INFINITY): Promise<Found | undefined> {
    await Promise.all(Array.from({ length: runsAtOnce }, () => this.#work(seeds, until)));
    return this.#found;
  }

  async #work(seeds: Iterator<number, unknown>, until: number): Promise<void> {
    while (!this.#found && Date.now() < until) {
      const { value: seed, done } = seeds.next();
      if (done) return;
      await this.#carryOut(new Run(seed as number, this.#cluster), seed as number);
    }
  }

  async #carryOut(run: Run, seed: number): Promise<void> {
    this.#runs.add(run);
    try {
      await run.carryOut();
      this.tally.add(run);
    } catch (finding) {
      if (!(finding instanceof Finding)) throw finding;
      this.#found ??= { seed, finding, journal: run.journal };
      for (const other of this.#runs) other.stop();
    } finally {
      this.#runs.delete(run);
    }
  }
}

/** Whole numbers from `first` on. */
export function* seedsFrom(first: number, count = Number.POSITIVE_INFINITY): Generator<number> {
  for (let n = 0; n < count; n++) yield (first + n) % 2 ** 32;
}
