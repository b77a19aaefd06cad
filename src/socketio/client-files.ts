import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import serveStatic from "@fastify/static";
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from "fastify";
import { boundAnswerTime } from "../net/answer-time.ts";

const root = join(dirname(createRequire(import.meta.url).resolve("socket.io/package.json")), "client-dist");

// The build minifies the client helper. The sources do that on request, with a package that only development needs.
const isBuilt = import.meta.url.endsWith(".js");
const path = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

async function clientHelper(): Promise<string> {
  if (isBuilt) return readFile(path("client.min.js"), "utf8");
  const { transform } = await import("esbuild");
  const source = await readFile(path("client.ts"), "utf8");
  return (await transform(source, { loader: "ts", minify: true })).code;
}

/**
 * Serves the files of the browser client and the client helper. They have an app of their own, which never listens: routes of the
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
  // The files are public. Browsers load a module of another origin only with this header.
  files.addHook("onRequest", async (_request, reply) => {
    reply.header("access-control-allow-origin", "*");
  });
  files.register(serveStatic, { root, prefix, decorateReply: false });
  files.get(`${prefix}roomcast-client.js`, async (_request, reply) => {
    reply.header("cache-control", "public, max-age=0").type("application/javascript; charset=utf-8");
    return clientHelper();
  });
  await files.ready();
  return files;
}
