import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

/** Passes TCP connections on to a server, and can lose them as a network does. */
export class Relay {
  /** Whether what the server sends is lost. */
  isMute = false;
  readonly #connections = new Set<Socket>();
  readonly #server = createServer((client) => this.#pass(client));
  readonly #port: number;

  /** @param port the port of the server on 127.0.0.1 */
  constructor(port: number) {
    this.#port = port;
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resets all connections. New ones are accepted, and hear the server again. */
  cut(): void {
    this.isMute = false;
    for (const connection of this.#connections) connection.resetAndDestroy();
  }

  close(): void {
    this.#server.close();
    this.cut();
  }

  #pass(client: Socket): void {
    const server = connect(this.#port, "127.0.0.1");
    client.pipe(server);
    server.on("data", (data) => this.isMute || client.write(data));
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#connections.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        this.#connections.delete(one);
        other.destroy();
      });
    }
  }
}

/** Starts a relay in front of a server, which is closed when the test ends. */
export async function startRelay(t: TestContext, port: number): Promise<{ relay: Relay; url: string }> {
  const relay = new Relay(port);
  const url = await relay.listen();
  t.after(() => relay.close());
  return { relay, url };
}
