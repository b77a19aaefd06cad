import type { Registry } from "prom-client";

/**
 * A Prometheus histogram without labels. prom-client's histogram looks up the labels of each value, which
 * takes half a microsecond: too much for timing every event.
 */
export class Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /**
   * @param bounds the upper bounds of the buckets, in ascending order; one more bucket holds larger values
   */
  constructor(registry: Registry, name: string, help: string, bounds: readonly number[]) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    this.#counts = Array(bounds.length + 1).fill(0);
    registry.registerMetric({ name, get: () => this.#export() } as never);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sum += value;
  }

  /** The format in which prom-client's metrics export themselves. Buckets are cumulative. */
  #export() {
    const name = this.#name;
    let count = 0;
    const values = this.#counts.map((own, bucket) => {
      count += own;
      return { metricName: `${name}_bucket`, labels: { le: this.#bounds[bucket] ?? "+Inf" }, value: count };
    });
    const totals = [
      { metricName: `${name}_sum`, labels: {}, value: this.#sum },
      { metricName: `${name}_count`, labels: {}, value: count },
    ];
    return { name, help: this.#help, type: "histogram", values: [...values, ...totals] };
  }
}
