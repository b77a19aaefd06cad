import { parseArgs } from "node:util";
import { ExpectedCounts } from "./expected-counts.ts";
import { ackTimes, compare, discrepancies, leaks, megabytes, table, usage } from "./report.ts";
import { Scenario } from "./scenario.ts";
import { measure, ServerProcess, total } from "./server-process.ts";

/*
 * `npm run soak`: runs the command in its own process with all kinds of clients and attackers for a long
 * time. At the end the server's counters must match what its clients have seen, and its memory and file
 * descriptors must be back to where they were.
 */

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    clients: { type: "string", default: "500" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    /** Comma-separated names of kinds of clients. */
    only: { type: "string" },
  },
});
const [seconds, clients, seed] = [Number(values.seconds), Number(values.clients), Number(values.seed)];
const run = { clients, ...(values.only && { only: values.only.split(",") }) };
const warmUpSeconds = Math.max(20, seconds / 10);
const restSeconds = 16;
const progressEveryMs = 30_000;

const server = await ServerProcess.start();
const { descriptors } = server;
const counts = new ExpectedCounts();
console.log(
  `${clients} clients for ${seconds} s, of which ${warmUpSeconds} s are the warm-up; --seed ${seed}`,
);
const progress = setInterval(printProgress, progressEveryMs);
await new Scenario(server, counts, { ...run, seconds: warmUpSeconds, seed: 2 * seed }).play();
const start = await measure(server, restSeconds, descriptors);
await new Scenario(server, counts, { ...run, seconds: seconds - warmUpSeconds, seed: 2 * seed + 1 }).play();
const end = await measure(server, restSeconds, descriptors);
clearInterval(progress);

const { peak } = server.memory;
const rows = compare(counts, await server.scrape());
const found = [...discrepancies(rows, counts), ...leaks(start, end, peak, descriptors), ...server.faults];
const code = await server.stop();
if (code !== 0) found.push(`the server exited with ${code} on SIGTERM`);
console.log([table(rows), usage(start, end, peak, descriptors), ackTimes(counts)].join("\n"));
console.log(
  found.length === 0 ? `Everything agrees; --seed ${seed}` : `--seed ${seed} found:\n- ${found.join("\n- ")}`,
);
process.exit(found.length === 0 ? 0 : 1);

async function printProgress(): Promise<void> {
  const samples = await server.scrape();
  const count = (name: string) => total(samples, `roomcast_${name}`).toLocaleString("en");
  console.error(
    `${new Date().toISOString()} ${count("connections")} connections, ${count("connects_total")} connects, ` +
      `${count("events_total")} events, ${count("deliveries_total")} deliveries, ` +
      `${count("endings_total")} ended, ${megabytes(server.memory.resident)} resident, ` +
      `${server.descriptors} descriptors, ${counts.problems.size} problems`,
  );
}
