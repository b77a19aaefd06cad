import { parseArgs } from "node:util";
import type { Figures } from "./load.ts";
import { Results } from "./results.ts";
import { type Workload, workloads } from "./workloads.ts";

/*
 * `npm run bench`: measures roomcast as it ships, stock Socket.IO with the same handlers, and raw
 * hand-batched ws, each in its own process, in turn, over loopback. The ratios compare runs made one after
 * the other. `--only cluster` measures roomcast and stock Socket.IO with its Redis adapters, each on several
 * nodes; it needs redis-server.
 */

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    /** By default all workloads except `cluster`. */
    only: {
      type: "string",
      default: Object.keys(workloads)
        .filter((name) => name !== "cluster")
        .join(),
    },
    /** By default all servers of each workload. */
    servers: { type: "string" },
    rounds: { type: "string", default: "3" },
    /** A folder for CPU profiles of the servers. */
    profile: { type: "string" },
  },
});
const profiling = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${options.profile}`] : [];
/** Windows has no such limit and reports none. */
const { userLimits } = process.report.getReport() as {
  userLimits?: { open_files: { soft: number | string } };
};
const limit = Number(userLimits?.open_files.soft);
const connections = Math.min(8_000, (Number.isNaN(limit) ? Infinity : limit) - 500);
const say = (text: string) => process.stderr.isTTY && process.stderr.write(`\x1b[2K\r${text}`);

async function measure(server: string, name: string, { start, run }: Workload): Promise<Figures> {
  const running = await start(server, name, profiling);
  try {
    return await run(running, connections);
  } finally {
    await running.stop();
  }
}

// Everything that was started ends with this process.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

const results = new Results();
for (const name of options.only.split(",")) {
  const workload = workloads[name];
  if (!workload) throw new Error(`there is no workload "${name}"`);
  const servers = options.servers?.split(",") ?? workload.servers;
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const server of workload.servers.filter((one) => servers.includes(one))) {
      say(`${name}, round ${round} of ${options.rounds}: ${server}`);
      results.add(server, await measure(server, name, workload));
    }
  }
}
say("");
if (options.json) console.log(JSON.stringify({ connections, rows: results.rows }, null, 2));
else {
  if (connections < 8_000)
    console.log(`idle: only ${connections} connections, because at most ${limit} files may be open`);
  console.log(results.table);
}
