/** Reads a whole number that was given on the command line. @throws {RangeError} with a sentence for the user */
export function wholeNumber(name: string, given: string, least: number, most: number): number {
  const value = Number(given);
  if (/^\d+$/.test(given) && value >= least && value <= most) return value;
  throw new RangeError(
    `${name} must be a whole number from ${least} to ${most}, not ${JSON.stringify(given)}.`,
  );
}

/** Reads a `--seed`, or picks one at random. @throws {RangeError} with a sentence for the user */
export const readSeed = (given: string | undefined): number =>
  wholeNumber("--seed", given ?? String(Math.floor(Math.random() * 2 ** 32)), 0, 2 ** 32 - 1);

/** Exits with the result of a command; with 2, and one sentence, if its arguments are invalid. */
export async function exitWith(command: (args: string[]) => Promise<number>): Promise<never> {
  try {
    process.exit(await command(process.argv.slice(2)));
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException;
    if (!(error instanceof RangeError) && !code.startsWith("ERR_PARSE_ARGS")) throw error;
    console.error(message.split("\n")[0]);
    process.exit(2);
  }
}
