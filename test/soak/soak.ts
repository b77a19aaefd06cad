import { parseArgs } from "node:util";
import { House } from "./house.ts";
import { Ledger } from "./ledger.ts";
import { heaviness, mega, weigh, weights } from "./memory.ts";
import { perform } from "./performance.ts";
import { total } from "./scrape.ts";
import { Stage } from "./stage.ts";
import { compare, complaints, table } from "./verdict.ts";

/*
 * `npm run soak`: the command in a process of its own under all kinds of clients for a long time. In the end the
 * server's counters must say what the clients saw, and its memory must be what it was after a warm-up.
 */

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    clients: { type: "string", default: "500" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
  },
});
const [seconds, clients, seed] = [Number(values.seconds), Number(values.clients), Number(values.seed)];
const warmUpSeconds = Math.max(20, seconds / 10);
const restSeconds = 16;
const tellEveryMs = 30_000;

const house = await House.open();
const ledger = new Ledger();
console.log(
  `${clients} clients for ${seconds} s, the first ${warmUpSeconds} s of them to warm up; --seed ${seed}`,
);
const telling = setInterval(tell, tellEveryMs);
await act(warmUpSeconds, 2 * seed);
const start = await weigh(house, restSeconds);
await act(seconds - warmUpSeconds, 2 * seed + 1);
const end = await weigh(house, restSeconds);
clearInterval(telling);

const { peak } = house.memory;
const rows = compare(ledger, await house.scrape());
const found = [...complaints(rows, ledger), ...heaviness(start, end, peak), ...house.faults];
const code = await house.close();
if (code !== 0) found.push(`the server ended with ${code} when it was asked to stop`);
console.log(table(rows));
console.log(weights(start, end, peak));
console.log(
  found.length === 0 ? `All agrees; --seed ${seed}` : `--seed ${seed} found:\n- ${found.join("\n- ")}`,
);
process.exit(found.length === 0 ? 0 : 1);

async function act(actSeconds: number, actSeed: number): Promise<void> {
  await perform(new Stage(house, ledger, clients), { clients, seconds: actSeconds, seed: actSeed });
}

/** How it goes, every now and then. */
async function tell(): Promise<void> {
  const now = await house.scrape();
  const count = (name: string) => total(now, `roomcast_${name}`).toLocaleString("en");
  console.error(
    `${new Date().toISOString()} ${count("connections")} connections, ${count("connects_total")} connects, ` +
      `${count("events_total")} events, ${count("deliveries_total")} deliveries, ` +
      `${count("endings_total")} ended, ${mega(house.memory.resident)} resident, ` +
      `${ledger.surprises.size} surprises`,
  );
}
