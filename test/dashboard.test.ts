import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { client, enter, type Member, next } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { skipWithout } from "./support/programs.ts";
import { type Prometheus, type Sample, startPrometheus } from "./support/prometheus.ts";
import { connectRaw } from "./support/raw.ts";
import { startRedis } from "./support/redis.ts";
import { until } from "./support/until.ts";

interface Target {
  expr: string;
  legendFormat: string;
}

interface Panel {
  id: number;
  type: string;
  title: string;
  gridPos: { h: number; w: number; x: number; y: number };
  targets?: Target[];
}

const dashboard = JSON.parse(readFileSync(new URL("../asset/grafana.json", import.meta.url), "utf8"));
const panels: Panel[] = dashboard.panels;
const targets = panels.flatMap(({ targets = [] }) => targets);
const [, choiceMetric = "", choiceLabel = ""] = dashboard.templating.list
  .find(({ name }: { name: string }) => name === "instance")
  .query.query.match(/^label_values\((\w+), (\w+)\)$/);

const skip = skipWithout("redis");

const selector = /(\w+)\{([^}]*)\}/g;
const grouping = /\bby \(([^)]*)\)/g;
const labelsIn = (matchers: string): string[] =>
  [...matchers.matchAll(/(\w+)[=!]/g)].map(([, label = ""]) => label);

/** The metrics that a query selects, each with the labels that it filters or groups by. */
function selected({ expr }: Target): { name: string; labels: string[] }[] {
  const groups = [...expr.matchAll(grouping)].flatMap(([, list = ""]) => list.split(", "));
  return [...expr.matchAll(selector)].map(([, name = "", matchers = ""]) => ({
    name,
    labels: [...labelsIn(matchers), ...groups],
  }));
}

/**
 * Starts a node on Redis whose clients have done something of everything that is counted; ann stays connected.
 */
async function busyServer(t: TestContext): Promise<{ operations: string; ann: Member }> {
  const redis = await startRedis(t);
  const command = runCommand(t, ["--port", "0", "--operations-port", "0", "--redis", redis.url]);
  const url = await command.ready();
  const ann = await enter(t, url, "ann", "lobby");
  await enter(t, `${url}/chat`, "bob", "lobby");
  const cleo = await enter(t, url, "cleo", "lobby");
  await ann.ask("chat", "hello");
  await ann.ask("leave", "attic");
  await cleo.ask("bye");
  await next(client(t, url, { query: { room: "a\u0007b" } }), "connect_error");
  await flood(t, url);
  const operations = command.stdout.match(/metrics and health are at (http:[^"]+)/)?.[1] ?? "";
  return { operations, ann };
}

/** Exceeds the rate limit until the server ends the connection. */
async function flood(t: TestContext, url: string): Promise<void> {
  const raw = await connectRaw(t, url);
  raw.send(...Array.from({ length: 3_000 }, () => '42["notice","again"]'));
  await raw.closed();
}

/** The metrics that the server exports, and their series with the labels of each. */
async function scrape(operations: string): Promise<{ metrics: string[]; series: Map<string, Set<string>> }> {
  const text = await (await fetch(`${operations}/metrics`)).text();
  const series = new Map<string, Set<string>>();
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    series.set(name, new Set([...(series.get(name) ?? []), ...labelsIn(labels)]));
  }
  return { metrics: [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = ""]) => name), series };
}

describe("the Grafana dashboard", () => {
  test("filters every metric by the chosen instances and names no metric that these tests would miss", () => {
    for (const { expr } of targets) {
      const rest = expr.replace(selector, "").replace(grouping, "").replaceAll("[$__rate_interval]", "");
      assert.doesNotMatch(rest, /[a-z_]\w*\b(?! *\()|["$[{]/, expr);
      for (const [, , matchers] of expr.matchAll(selector))
        assert.match(matchers ?? "", /^instance=~"\$instance"/);
    }
  });

  test("queries nothing that the server does not export", { skip }, async (t) => {
    const { series } = await scrape((await busyServer(t)).operations);
    const ofPrometheus = ["instance"];
    for (const target of targets) {
      for (const { name, labels } of selected(target)) {
        const known = [
          ...(series.get(name) ?? assert.fail(`no ${name} for ${target.expr}`)),
          ...ofPrometheus,
        ];
        assert.deepEqual(
          labels.filter((label) => !known.includes(label)),
          [],
          target.expr,
        );
      }
    }
    assert.deepEqual([series.has(choiceMetric), choiceLabel], [true, "instance"]);
  });

  test("shows every metric that the server exports", { skip }, async (t) => {
    const { metrics } = await scrape((await busyServer(t)).operations);
    const shown = new Set(targets.flatMap(selected).map(({ name }) => name.replace(/_bucket$/, "")));
    assert.deepEqual(
      metrics.filter((name) => !shown.has(name)),
      [],
    );
    assert.ok(metrics.filter((name) => name.startsWith("roomcast_")).length > 10);
  });

  test("has distinct panels that do not overlap", () => {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
    const cells = panels.flatMap(({ gridPos: { h, w, x, y } }) =>
      Array.from({ length: h * w }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
    );
    assert.equal(new Set(cells).size, cells.length);
    assert.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
  });
});

describe("a Prometheus that scrapes the server", { skip: skip || skipWithout("prometheus") }, () => {
  test("answers every query of the dashboard with numbers, and with the labels of its legend", async (t) => {
    const { operations, ann } = await busyServer(t);
    const prometheus = await startPrometheus(t, new URL(operations).host);
    await until(async () => assert.equal((await choices(prometheus)).length, 1));
    const [instance = ""] = await choices(prometheus);
    for (const target of targets) {
      const query = filledIn(target, instance);
      await until(async () => {
        // Rates and quantiles need ongoing events.
        await ann.ask("chat", "still here");
        const samples = await prometheus.query(query);
        assert.notDeepEqual(samples, [], query);
        assert.deepEqual(
          samples.filter((sample) => !isDrawn(sample, target)),
          [],
          query,
        );
      });
    }
  });

  test("accepts the names and the format of all metrics", async (t) => {
    const { operations } = await busyServer(t);
    const input = await (await fetch(`${operations}/metrics`)).text();
    const { status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
      input,
      encoding: "utf8",
    });
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  });
});

const choices = (prometheus: Prometheus) => prometheus.labelValues(choiceMetric, choiceLabel);

/** The query as Grafana sends it, with one instance chosen. */
function filledIn({ expr }: Target, instance: string): string {
  return expr.replaceAll("$instance", instance.replaceAll(".", "\\\\.")).replaceAll("$__rate_interval", "5s");
}

function isDrawn({ metric, value: [, value] }: Sample, { legendFormat }: Target): boolean {
  const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = ""]) => label);
  return Number.isFinite(Number(value)) && labels.every((label) => metric[label] !== undefined);
}
