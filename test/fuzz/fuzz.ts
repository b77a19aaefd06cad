import { parseArgs } from "node:util";
import { exitWith, readSeed, wholeNumber } from "../support/arguments.ts";
import { Campaign, megabytes } from "./campaign.ts";
import { Finding, type Memory } from "./target.ts";

/*
 * The command: `npm run fuzz -- --seconds N --seed S`. It exits with 0 if it found nothing, with 1 for a
 * finding and with 2 for invalid arguments.
 */

interface Arguments {
  seconds: number;
  seed: number;
}

const mostSeconds = 86_400;

/** @throws {RangeError} with a sentence for the user */
function readArguments(args: string[]): Arguments {
  const { values } = parseArgs({ args, options: { seconds: { type: "string" }, seed: { type: "string" } } });
  return {
    seconds: wholeNumber("--seconds", values.seconds ?? "60", 1, mostSeconds),
    seed: readSeed(values.seed),
  };
}

async function fuzz({ seconds, seed }: Arguments): Promise<number> {
  console.log(`Fuzzing for ${seconds} seconds with --seed ${seed}.`);
  const campaign = await Campaign.start(seed);
  try {
    const grown = await campaign.fuzz(seconds);
    console.log(summary(campaign, { seconds, seed }, grown));
    return 0;
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    console.error(reported(campaign, seed, error));
    return 1;
  } finally {
    campaign.stop();
  }
}

function summary({ tally }: Campaign, { seconds, seed }: Arguments, grown: Memory): string {
  const { sessions, connections, packets, requests, acks } = tally;
  return (
    `Nothing found: ${seconds} seconds, ${sessions} sessions, ${connections} connections opened, ${packets} packets ` +
    `sent, ${requests} HTTP requests, ${acks} events acked, heap ${megabytes(grown.heapBytes)} and rss ` +
    `${megabytes(grown.rssBytes)} more than after the warm-up, seed ${seed}.`
  );
}

function reported({ journal, tally }: Campaign, seed: number, finding: Finding): string {
  return [
    "The bytes that were sent last, the latest at the end:",
    ...journal,
    "",
    `Found with --seed ${seed}, by session ${tally.sessions} or one before it: ${finding.message}`,
  ].join("\n");
}

await exitWith((args) => fuzz(readArguments(args)));
