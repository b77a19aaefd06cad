import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import { build, type ServerSettings } from "../../src/app.ts";
import { readOptions } from "../../src/config/read.ts";
import { coreOf, type RoomcastOptions } from "../../src/roomcast.ts";
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

/** What a server is started with: options, with their defaults where not given, and what only the command sets. */
export type TestOptions = RoomcastOptions & Pick<ServerSettings, "operationsPort" | "tlsCert" | "tlsKey">;

/** The whole server, as the command builds it. */
export const buildServer = (
  { operationsPort, tlsCert, tlsKey, ...options }: TestOptions = {},
  logger?: Parameters<typeof build>[1],
): Promise<FastifyInstance> => build({ ...readOptions(options), operationsPort, tlsCert, tlsKey }, logger);

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
  options: TestOptions = {},
  { port = 0, prepare = (_app: FastifyInstance) => {} } = {},
): Promise<RunningServer> {
  const logs: Record<string, unknown>[] = [];
  const app = await (stockEngine ? buildOnStock(options) : buildServer(options, logger(logs)));
  t.after(() => app.close());
  prepare(app);
  const url = await app.listen({ port, host: "127.0.0.1" });
  cores.set(url, coreOf(app));
  return { url, port: (app.server.address() as AddressInfo).port, app, logs };
}
