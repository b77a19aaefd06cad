import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import { build, type ServerSettings } from "../../src/app.ts";
import { readOptions } from "../../src/config/read.ts";
import { coreOf, type RoomcastOptions } from "../../src/roomcast.ts";
import { cores } from "./in-process.ts";
import { buildOnStock } from "./stock.ts";
import { isTwoNodes, pair, sharedRedis } from "./two-nodes.ts";

export interface RunningServer {
  /** `http://127.0.0.1:<port>` */
  url: string;
  port: number;
  app: FastifyInstance;
  /** The server's log lines, parsed. */
  logs: Record<string, unknown>[];
}

/** `ENGINE=stock` runs a suite on Socket.IO's own engine, which must behave like roomcast's. */
const stockEngine = process.env.ENGINE === "stock";

/** The plugin's options, with defaults for those left out, and settings that only the command has. */
export type TestOptions = RoomcastOptions & Pick<ServerSettings, "operationsPort" | "tlsCert" | "tlsKey">;

/** Builds the whole server as the command does. */
export const buildServer = (
  { operationsPort, tlsCert, tlsKey, ...options }: TestOptions = {},
  logger?: Parameters<typeof build>[1],
): Promise<FastifyInstance> => build({ ...readOptions(options), operationsPort, tlsCert, tlsKey }, logger);

const logger = (logs: Record<string, unknown>[]) => ({
  stream: { write: (line: string) => void logs.push(JSON.parse(line)) },
});

/**
 * Starts a server for one test, which is closed when the test ends. With `CLUSTER=1` there are two nodes; the result is
 * about the first one, except for the log lines.
 *
 * @param port a free port by default
 * @param prepare extends the app before it listens
 */
export async function startServer(
  t: TestContext,
  options: TestOptions = {},
  { port = 0, prepare = (_app: FastifyInstance) => {} } = {},
): Promise<RunningServer> {
  const logs: Record<string, unknown>[] = [];
  const start = async (port: number, options: TestOptions): Promise<RunningServer> => {
    const app = await (stockEngine ? buildOnStock(options) : buildServer(options, logger(logs)));
    t.after(() => app.close());
    prepare(app);
    const url = await app.listen({ port, host: "127.0.0.1" });
    cores.set(url, coreOf(app));
    return { url, port: (app.server.address() as AddressInfo).port, app, logs };
  };
  if (!isTwoNodes) return start(port, options);
  const shared = { ...options, ...(await sharedRedis()) };
  const first = await start(port, shared);
  pair(first.url, (await start(0, shared)).url);
  return first;
}
