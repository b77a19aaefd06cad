import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import serveStatic from "@fastify/static";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import { boundAnswerTime } from "../net/answer-time.ts";

const root = join(dirname(createRequire(import.meta.url).resolve("socket.io/package.json")), "client-dist");

/**
 * Serves the files of the browser client. They have an app of their own, which never listens: routes of the
 * application would get the prefix of its scope, but the engine is always at the root.
 */
export async function clientFiles(
  prefix: string,
  loggerInstance: FastifyBaseLogger,
  answerTimeMs: number,
): Promise<FastifyInstance> {
  const logController = new LogController({ disableRequestLogging: true });
  const files = Fastify({ loggerInstance, logController }) as FastifyInstance;
  files.addHook("onRequest", boundAnswerTime(answerTimeMs));
  files.register(serveStatic, { root, prefix, decorateReply: false });
  await files.ready();
  return files;
}
