import { parseArgs } from "node:util";
import { exitWith, readSeed, wholeNumber } from "../support/arguments.ts";

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

await exitWith(async (args) => {
  const { seconds, seed } = readArguments(args);
  // Loaded late, because invalid arguments need none of it.
  const { fuzz } = await import("./campaign.ts");
  return fuzz(seconds, seed);
});
