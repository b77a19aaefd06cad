import { parseArgs } from "node:util";
import { exitWith, readSeed, wholeNumber } from "../support/arguments.ts";
import type { Campaign, Found } from "./campaign.ts";

/*
 * The command: `npm run properties -- --seconds N --seed S`, or `--seeds N` for a number of seeds. With `--redis` the
 * server is a node, or several with `--nodes N`, on a redis-server that the command starts. It exits with 0 if it found
 * nothing, with 1 for a broken guarantee and with 2 for invalid arguments.
 */

interface Arguments {
  seconds: number;
  seeds: number;
  seed: number;
  nodes: number;
  hasRedis: boolean;
}

const mostSeconds = 86_400;
const mostSeeds = 1_000_000;
const mostNodes = 16;

/** @throws {RangeError} with a sentence for the user */
function readArguments(args: string[]): Arguments {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: {
      seconds: text,
      seeds: text,
      seed: text,
      nodes: text,
      redis: { type: "boolean", default: false },
    },
  });
  if (values.seconds !== undefined && values.seeds !== undefined)
    throw new RangeError("--seconds and --seeds exclude each other.");
  if (values.nodes !== undefined && !values.redis) throw new RangeError("--nodes needs --redis.");
  const given = values.seconds ?? (values.seeds === undefined ? "60" : String(mostSeconds));
  return {
    seconds: wholeNumber("--seconds", given, 1, mostSeconds),
    seeds: wholeNumber("--seeds", values.seeds ?? String(mostSeeds), 1, mostSeeds),
    seed: readSeed(values.seed),
    nodes: wholeNumber("--nodes", values.nodes ?? "1", 1, mostNodes),
    hasRedis: values.redis,
  };
}

async function properties({ seconds, seeds, seed, nodes, hasRedis }: Arguments): Promise<number> {
  console.log(`Checking the guarantees of rooms from --seed ${seed} on.`);
  // Loaded late, because invalid arguments need none of it.
  const { Campaign, seedsFrom } = await import("./campaign.ts");
  const { RedisServer } = await import("../support/redis.ts");
  const redis = hasRedis ? await RedisServer.open() : undefined;
  try {
    const campaign = new Campaign({ nodes, redis: redis?.url });
    const startMs = Date.now();
    const found = await campaign.run(seedsFrom(seed, seeds), startMs + seconds * 1_000);
    if (found) console.error(report(found));
    else console.log(summary(campaign, Math.round((Date.now() - startMs) / 1_000)));
    return found ? 1 : 0;
  } finally {
    await redis?.close();
  }
}

function summary({ tally }: Campaign, seconds: number): string {
  const { seeds, connections, acked, duplicates, received, verdicts, replayed } = tally;
  return (
    `Nothing found: ${seconds} seconds, ${seeds} seeds, ${connections} connections, ${acked} messages acked, ` +
    `${duplicates} of them as duplicates, ${received} received, ${replayed} of them replayed, verdicts: ` +
    `${verdicts.new} new, ${verdicts.complete} complete, ${verdicts.gap} gap.`
  );
}

const report = ({ seed, finding, journal }: Found): string =>
  [
    "What happened last, the latest at the end:",
    ...journal,
    "",
    `Found with --seeds 1 --seed ${seed}: ${finding.message}`,
  ].join("\n");

await exitWith((args) => properties(readArguments(args)));
