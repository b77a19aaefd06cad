import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP proxy that counts what clients receive through it. */
export interface CountingProxy {
  port: number;
  receivedBytes(): number;
  stop(): void;
}

/** Starts a proxy in front of a port of this machine. */
export async function startCountingProxy(target: number): Promise<CountingProxy> {
  let bytes = 0;
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    upstream.on("data", (chunk) => {
      bytes += chunk.length;
    });
    clients.add(client);
    for (const socket of [client, upstream]) socket.on("error", () => {});
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    receivedBytes: () => bytes,
    stop() {
      server.close();
      for (const client of clients) client.destroy();
    },
  };
}
