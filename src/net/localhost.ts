import { lookup } from "node:dns/promises";
import type { Server } from "node:net";

/**
 * Makes a server that listens on `localhost` use only the first address of that name. Fastify opens further
 * servers for the other addresses, and these serve Fastify's routes without any of roomcast's limits.
 *
 * The server's `listen` is replaced, because Fastify creates the server and offers no hook before it listens.
 */
export async function useOneLocalhostAddress(server: Server): Promise<void> {
  const found = await lookup("localhost").catch(() => undefined);
  if (!found) return;
  const { listen } = server;
  server.listen = ((...args: [options?: { host?: string }]) => {
    const [options] = args;
    if (typeof options === "object" && options?.host === "localhost") options.host = found.address;
    return listen.apply(server, args as never);
  }) as typeof listen;
}
