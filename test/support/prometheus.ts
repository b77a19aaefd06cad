import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "./until.ts";

/** What a query selects: the labels of a series, and its value now. */
export interface Sample {
  metric: Record<string, string>;
  value: [at: number, value: string];
}

/** A Prometheus that runs. */
export class Prometheus {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** @throws {Error} with what Prometheus says, for a query that it does not take */
  async query(expr: string): Promise<Sample[]> {
    return (await this.#get<{ result: Sample[] }>("query", { query: expr })).result;
  }

  /** The values that a label has in the series of a metric, as Grafana asks for the choices of a variable. */
  labelValues(metric: string, label: string): Promise<string[]> {
    return this.#get(`label/${label}/values`, { "match[]": metric });
  }

  async #get<T>(path: string, query: Record<string, string>): Promise<T> {
    const response = await fetch(`${this.#url}/api/v1/${path}?${new URLSearchParams(query)}`);
    const text = await response.text();
    assert.equal(response.status, 200, `${JSON.stringify(query)}: ${text}`);
    return JSON.parse(text).data;
  }
}

/** Starts a Prometheus that reads this target once a second; it is gone, and all it wrote, when the test ends. */
export async function startPrometheus(t: TestContext, target: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-"));
  const config = join(folder, "prometheus.yml");
  const scrape = { job_name: "roomcast", scrape_interval: "1s", static_configs: [{ targets: [target] }] };
  // YAML is a superset of JSON.
  writeFileSync(config, JSON.stringify({ scrape_configs: [scrape] }));
  const flags = ["--web.listen-address=127.0.0.1:0", `--storage.tsdb.path=${join(folder, "data")}`];
  const child = spawn("/usr/bin/prometheus", [`--config.file=${config}`, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const closed = once(child, "close");
  t.after(async () => {
    child.kill("SIGKILL");
    await closed;
    rmSync(folder, { recursive: true });
  });
  let said = "";
  child.stderr.on("data", (data) => {
    said += data;
  });
  const address = () => said.match(/msg="Listening on" address=(\S+)/)?.[1];
  await until(() => assert.notEqual(address(), undefined, said));
  return new Prometheus(`http://${address()}`);
}
