import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Figures, type Measured, type Usage, workloads } from "./workloads.ts";

/*
 * `npm run bench`: measures roomcast as it ships, stock Socket.IO with the same handlers, and raw
 * hand-batched ws, each in its own process, in turn, over loopback. The ratios compare runs made one after
 * the other.
 */

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    only: { type: "string", default: Object.keys(workloads).join() },
    servers: { type: "string", default: "roomcast,stock,ws" },
    rounds: { type: "string", default: "3" },
    /** A folder for CPU profiles of the servers. */
    profile: { type: "string" },
  },
});
const profiling = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [];
const names = options.servers.split(",");
/** Windows has no such limit and reports none. */
const { userLimits } = process.report.getReport() as {
  userLimits?: { open_files: { soft: number | string } };
};
const limit = Number(userLimits?.open_files.soft);
const connections = Math.min(8_000, (Number.isNaN(limit) ? Infinity : limit) - 500);
const say = (text: string) => process.stderr.isTTY && process.stderr.write(`\x1b[2K\r${text}`);

async function measure(name: string, workload: string): Promise<Figures> {
  const child = fork(fileURLToPath(new URL("server.ts", import.meta.url)), [name, workload], {
    execArgv: ["--import", "tsx", "--expose-gc", ...profiling],
  });
  try {
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    const server: Measured = {
      port,
      async usage() {
        child.send("usage");
        const [usage] = await once(child, "message");
        return usage as Usage;
      },
    };
    return (await workloads[workload]?.(server, connections)) ?? {};
  } finally {
    child.disconnect();
    await once(child, "exit");
  }
}

const median = (values: number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Each figure by server, as a list with one entry per round. */
const results: Record<string, Record<string, number[]>> = {};
for (const workload of options.only.split(",")) {
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const name of names) {
      // The raw server keeps no log.
      if (workload === "storm" && name === "ws") continue;
      say(`${workload}, round ${round} of ${options.rounds}: ${name}`);
      for (const [figure, value] of Object.entries(await measure(name, workload))) {
        const runs = results[figure] ?? {};
        results[figure] = { ...runs, [name]: [...(runs[name] ?? []), value] };
      }
    }
  }
}
say("");

interface Row {
  figure: string;
  medians: Record<string, number>;
  /** The ratios of roomcast to each other server, computed per round. */
  ratios: Record<string, { median: number; least: number; most: number }>;
}

const rows: Row[] = Object.entries(results).map(([figure, runs]) => ({
  figure,
  medians: Object.fromEntries(Object.entries(runs).map(([name, values]) => [name, median(values)])),
  ratios: Object.fromEntries(
    names
      .filter((name) => name !== "roomcast" && runs.roomcast && runs[name])
      .map((name) => {
        const ratios = (runs.roomcast ?? []).map(
          (value, round) => value / (runs[name]?.[round] ?? Number.NaN),
        );
        return [name, { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) }];
      }),
  ),
}));

if (options.json) console.log(JSON.stringify({ connections, rows }, null, 2));
else {
  if (connections < 8_000)
    console.log(`idle: only ${connections} connections, because at most ${limit} files may be open`);
  const number = (value: number) =>
    value >= 100 ? Math.round(value).toLocaleString("en") : value.toPrecision(3);
  const ratio = (row: Row, name: string) => {
    const one = row.ratios[name];
    return one ? `${one.median.toFixed(2)} (${one.least.toFixed(2)}–${one.most.toFixed(2)})` : "";
  };
  const others = names.filter((name) => name !== "roomcast");
  const head = ["figure", ...names, ...others.map((name) => `roomcast / ${name}`)];
  const table = [
    head,
    head.map(() => "---"),
    ...rows.map((row) => [
      row.figure,
      ...names.map((name) => (row.medians[name] === undefined ? "" : number(row.medians[name]))),
      ...others.map((name) => ratio(row, name)),
    ]),
  ];
  for (const cells of table) console.log(`| ${cells.join(" | ")} |`);
}
