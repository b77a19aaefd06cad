import type { onRequestHookHandler } from "fastify";

/**
 * A hook that ends the connection of a client that does not take an answer in time: a file that is half sent stays
 * open until then, and Node itself has no such bound.
 */
export function boundAnswerTime(ms: number): onRequestHookHandler {
  return (_request, { raw }, done) => {
    const late = setTimeout(() => raw.destroy(), ms).unref();
    raw.once("close", () => clearTimeout(late));
    done();
  };
}
