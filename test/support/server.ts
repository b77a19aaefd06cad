import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import { type BuildOptions, build } from "../../src/app.ts";
import { coreOf } from "../../src/roomcast.ts";
import { cores } from "./in-process.ts";
import { buildOnStock } from "./stock.ts";

export interface RunningServer {
  /** `http://127.0.0.1:<port>` */
  url: string;
  port: number;
  app: FastifyInstance;
  /** What it logged, parsed. */
  logs: Record<string, unknown>[];
}

/** `ENGINE=stock` runs a suite on Socket.IO's own engine, where it must behave as on ours. */
const stockEngine = process.env.ENGINE === "stock";

const logger = (logs: Record<string, unknown>[]) => ({
  stream: { write: (line: string) => void logs.push(JSON.parse(line)) },
});

/**
 * A server of this test's own, closed when the test ends.
 *
 * @param port a free one where not given
 * @param prepare adds to the app before it listens
 */
export async function startServer(
  t: TestContext,
  options: BuildOptions = {},
  { port = 0, prepare = (_app: FastifyInstance) => {} } = {},
): Promise<RunningServer> {
  const logs: Record<string, unknown>[] = [];
  const app = await (stockEngine ? buildOnStock(options) : build(options, logger(logs)));
  t.after(() => app.close());
  prepare(app);
  const url = await app.listen({ port, host: "127.0.0.1" });
  cores.set(url, coreOf(app));
  return { url, port: (app.server.address() as AddressInfo).port, app, logs };
}
