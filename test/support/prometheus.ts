import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { until } from "./until.ts";

/** A result of a query: the labels of a series and its current value. */
export interface Sample {
  metric: Record<string, string>;
  value: [at: number, value: string];
}

/** A running Prometheus. */
export class Prometheus {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** @throws {Error} with the message of Prometheus if it rejects the query */
  async query(expr: string): Promise<Sample[]> {
    return (await this.#get<{ result: Sample[] }>("query", { query: expr })).result;
  }

  /** The values of a label in the series of a metric, which Grafana queries for the choices of a variable. */
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

/**
 * Starts a Prometheus that scrapes this target every second; it is removed with its files when the test ends.
 */
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
