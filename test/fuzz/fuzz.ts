import { parseArgs } from "node:util";

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
    seed: wholeNumber("--seed", values.seed ?? String(Math.floor(Math.random() * 2 ** 32)), 0, 2 ** 32 - 1),
  };
}

function wholeNumber(name: string, given: string, least: number, most: number): number {
  const value = Number(given);
  if (/^\d+$/.test(given) && value >= least && value <= most) return value;
  throw new RangeError(
    `${name} must be a whole number from ${least} to ${most}, not ${JSON.stringify(given)}.`,
  );
}

try {
  const { seconds, seed } = readArguments(process.argv.slice(2));
  // Loaded late, because invalid arguments need none of it.
  const { fuzz } = await import("./campaign.ts");
  process.exit(await fuzz(seconds, seed));
} catch (error) {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (!(error instanceof RangeError) && !code.startsWith("ERR_PARSE_ARGS")) throw error;
  console.error(message.split("\n")[0]);
  process.exit(2);
}
