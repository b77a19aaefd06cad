import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import { build, type RoomcastOptions } from "../../src/app.ts";

export interface RunningServer {
  /** `http://127.0.0.1:<port>` */
  url: string;
  port: number;
  app: FastifyInstance;
  /** What it logged, parsed. */
  logs: Record<string, unknown>[];
}

/**
 * A server of this test's own, closed when the test ends.
 *
 * @param port a free one where not given
 * @param prepare adds to the app before it listens
 */
export async function startServer(
  t: TestContext,
  options: RoomcastOptions = {},
  { port = 0, prepare = (_app: FastifyInstance) => {} } = {},
): Promise<RunningServer> {
  const logs: Record<string, unknown>[] = [];
  const app = await build(options, { stream: { write: (line) => logs.push(JSON.parse(line)) } });
  t.after(() => app.close());
  prepare(app);
  const url = await app.listen({ port, host: "127.0.0.1" });
  return { url, port: (app.server.address() as AddressInfo).port, app, logs };
}
