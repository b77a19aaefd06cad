import type { Figures } from "./load.ts";

/** Each figure by server, as a list with one entry per round. */
type Runs = Record<string, Record<string, number[]>>;

interface Row {
  figure: string;
  medians: Record<string, number>;
  /** The ratios of roomcast to each other server, computed per round. */
  ratios: Record<string, { median: number; least: number; most: number }>;
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** The figures of all rounds, and their comparison with roomcast's. */
export class Results {
  readonly #runs: Runs = {};
  readonly #servers = new Set<string>();

  add(server: string, figures: Figures): void {
    this.#servers.add(server);
    for (const [figure, value] of Object.entries(figures)) {
      this.#runs[figure] ??= {};
      const runs = this.#runs[figure];
      runs[server] = [...(runs[server] ?? []), value];
    }
  }

  get rows(): Row[] {
    return Object.entries(this.#runs).map(([figure, runs]) => ({
      figure,
      medians: Object.fromEntries(Object.entries(runs).map(([name, values]) => [name, median(values)])),
      ratios: Object.fromEntries(
        this.#others.filter((name) => runs.roomcast && runs[name]).map((name) => [name, ratio(runs, name)]),
      ),
    }));
  }

  /** A table in Markdown. */
  get table(): string {
    const names = [...this.#servers];
    const head = ["figure", ...names, ...this.#others.map((name) => `roomcast / ${name}`)];
    const rows = this.rows.map(({ figure, medians, ratios }) => [
      figure,
      ...names.map((name) => formatNumber(medians[name])),
      ...this.#others.map((name) => formatRatio(ratios[name])),
    ]);
    return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  }

  get #others(): string[] {
    return [...this.#servers].filter((name) => name !== "roomcast");
  }
}

function ratio(runs: Record<string, number[]>, name: string): Row["ratios"][string] {
  const ratios = (runs.roomcast ?? []).map((value, round) => value / (runs[name]?.[round] ?? Number.NaN));
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

const formatNumber = (value?: number) => {
  if (value === undefined) return "";
  if (value === 0) return "0";
  return value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
};

/** Empty where a server's figure is 0. */
const formatRatio = (ratio?: Row["ratios"][string]) =>
  ratio && Number.isFinite(ratio.most)
    ? `${ratio.median.toFixed(2)} (${ratio.least.toFixed(2)}–${ratio.most.toFixed(2)})`
    : "";
