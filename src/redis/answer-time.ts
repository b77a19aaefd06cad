import { ClientError } from "../errors.ts";

/** The time that Redis has to answer, in milliseconds. */
export const longestAnswerMs = 2_000;

/** Waits for an answer. @throws {ClientError} `unavailable` if there is none in time */
export async function withinTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswer()), longestAnswerMs);
  });
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** The error `unavailable` of a request that Redis did not answer. */
export class NoAnswer extends ClientError {
  constructor() {
    super("unavailable");
  }
}
