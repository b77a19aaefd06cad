import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { RedisServer } from "./redis.ts";

/** The connections of a node: for its commands, or for its subscriptions. */
type Kind = "commands" | "subscriber";

/** A connection of a node to Redis. */
interface Link {
  /** Undefined before the first command that shows it. */
  kind: Kind | undefined;
  readonly node: Socket;
  readonly redis: Socket;
}

/** A proxy between one node and Redis that tells the node's two connections apart. It is closed when the test ends. */
export class RedisProxy {
  readonly #server = createServer((node) => this.#forward(node));
  readonly #port: number;
  readonly #links = new Set<Link>();
  readonly #held = new Set<Kind>();
  #awaited: { argument: string; resolve(): void } | undefined;

  private constructor(port: number) {
    this.#port = port;
  }

  static async open(t: TestContext, { port }: RedisServer): Promise<RedisProxy> {
    const proxy = new RedisProxy(port);
    await once(proxy.#server.listen(0, "127.0.0.1"), "listening");
    t.after(() => {
      proxy.#server.close();
      for (const { node } of proxy.#links) node.destroy();
    });
    return proxy;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on, the answers of Redis wait. */
  hold(kind: Kind): void {
    this.#held.add(kind);
    for (const { redis } of this.#of(kind)) redis.pause();
  }

  /** Resolves when the node sends a command with this argument, whose answer and all later ones wait. */
  holdAnswerTo(kind: Kind, argument: string): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited = { argument: `\r\n${argument}\r\n`, resolve: () => resolve(this.hold(kind)) };
    });
  }

  /** Passes on the answers that have waited. */
  release(kind: Kind): void {
    this.#held.delete(kind);
    for (const { redis } of this.#of(kind)) redis.resume();
  }

  /** Closes the connection; the node may open it again. */
  cut(kind: Kind): void {
    for (const { node } of this.#of(kind)) node.destroy();
  }

  #of = (kind: Kind) => [...this.#links].filter((link) => link.kind === kind);

  #forward(node: Socket): void {
    const redis = connect(this.#port, "127.0.0.1");
    const link: Link = { kind: undefined, node, redis };
    this.#links.add(link);
    node.on("data", (chunk) => {
      if (!link.kind && /subscribe|eval/.test(`${chunk}`))
        link.kind = chunk.includes("subscribe") ? "subscriber" : "commands";
      if (this.#awaited && chunk.includes(this.#awaited.argument)) {
        this.#awaited.resolve();
        this.#awaited = undefined;
      }
      if (link.kind && this.#held.has(link.kind)) redis.pause();
      redis.write(chunk);
    });
    redis.on("data", (chunk) => node.write(chunk));
    for (const socket of [node, redis]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#links.delete(link);
        node.destroy();
        redis.destroy();
      });
    }
  }
}
