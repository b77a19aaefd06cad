import type { onRequestHookHandler } from "fastify";

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
