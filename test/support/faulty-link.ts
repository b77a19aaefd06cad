import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { Random } from "./random.ts";

/** The direction in which bytes pass a link. */
export type Direction = "to client" | "to server";

/** The two ends of a TCP connection that a link forwards. */
interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/**
 * A TCP proxy between a server and one of its clients. It can cut all connections of the client, even in the middle of
 * a frame or a response, stop reading what one side sends, and delay everything.
 */
export class FaultyLink {
  /** The ports of the servers. */
  readonly #ports: () => readonly number[];
  #port: number;
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  #cut: { direction: Direction; bytes: number } | undefined;
  #stalled: readonly Direction[] = [];
  /** How long bytes take in each direction, in milliseconds. */
  delayMs = 0;

  private constructor(ports: () => readonly number[]) {
    this.#ports = ports;
    this.#port = ports()[0] as number;
    this.#listener = createServer((client) => this.#forward(client));
  }

  static async open(ports: () => readonly number[]): Promise<FaultyLink> {
    const link = new FaultyLink(ports);
    await once(link.#listener.listen(0, "127.0.0.1"), "listening");
    return link;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The port that the link listens on. */
  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** The port of the server that the newest connection went to, or that the next one will go to after a move. */
  get target(): number {
    return this.#port;
  }

  /** Forwards new connections to any of the servers. All connections of a session must go to the same one. */
  move(random: Random): void {
    this.#port = random.pick(this.#ports());
  }

  /** Resets all connections. */
  cut(): void {
    this.#cut = undefined;
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Resets all connections when this many more bytes have passed in a direction. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#cut = { direction, bytes };
  }

  /** Stops reading what passes in these directions, on new connections too, until {@link calm}. */
  stall(directions: readonly Direction[] = ["to client"]): void {
    this.#stalled = directions;
    for (const pair of this.#pairs) this.#pause(pair);
  }

  /** Reads again, and cuts no more. */
  calm(): void {
    this.#stalled = [];
    this.#cut = undefined;
    for (const { client, server } of this.#pairs) {
      client.resume();
      server.resume();
    }
  }

  close(): void {
    this.#listener.close();
    this.cut();
  }

  #forward(client: Socket): void {
    const ports = this.#ports();
    if (!ports.includes(this.#port)) this.#port = ports[0] as number;
    const server = connect({ port: this.#port, host: "127.0.0.1", noDelay: true });
    const pair = { client: client.setNoDelay(), server };
    this.#pairs.add(pair);
    this.#pipe(client, server, "to server");
    this.#pipe(server, client, "to client");
    this.#pause(pair);
    server.once("close", () => this.#pairs.delete(pair));
  }

  #pause({ client, server }: Pair): void {
    if (this.#stalled.includes("to client")) server.pause();
    if (this.#stalled.includes("to server")) client.pause();
  }

  #pipe(from: Socket, to: Socket, direction: Direction): void {
    from.on("data", (chunk) => this.#delayed(() => this.#pass(chunk, from, to, direction)));
    from.on("error", () => {});
    from.on("close", () => this.#delayed(() => to.destroySoon()));
    to.on("drain", () => this.#stalled.includes(direction) || from.resume());
  }

  #delayed(action: () => void): void {
    if (this.delayMs > 0) setTimeout(action, this.delayMs);
    else action();
  }

  #pass(chunk: Buffer, from: Socket, to: Socket, direction: Direction): void {
    const cut = this.#cut?.direction === direction ? this.#cut : undefined;
    if (!to.write(cut ? chunk.subarray(0, Math.max(0, cut.bytes)) : chunk)) from.pause();
    if (!cut) return;
    cut.bytes -= chunk.length;
    // After the bytes that still pass have been written. Even if the link has become calm: the rest is missing.
    if (cut.bytes <= 0) setImmediate(() => this.cut());
  }
}

/** Opens a link in front of a server, which is closed when the test ends. */
export async function openLink(t: TestContext, port: number): Promise<{ link: FaultyLink; url: string }> {
  const link = await FaultyLink.open(() => [port]);
  t.after(() => link.close());
  return { link, url: link.url };
}
