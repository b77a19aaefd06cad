import type { onRequestHookHandler } from "fastify";
import { longestTimerMs } from "../limits/timer.ts";

/** How long a client has to take a response, in milliseconds. The response to a poll must be taken sooner. */
export const answerTimeMs = (sendQueueAgeMs: number): number => Math.min(2 * sendQueueAgeMs, longestTimerMs);

/**
 * A hook that destroys the connection of a client that does not take a response in time. A half-sent file
 * stays open until then, and Node itself has no such limit.
 */
export function boundAnswerTime(ms: number): onRequestHookHandler {
  return (_request, { raw }, done) => {
    const timeout = setTimeout(() => raw.destroy(), ms).unref();
    raw.once("close", () => clearTimeout(timeout));
    done();
  };
}
