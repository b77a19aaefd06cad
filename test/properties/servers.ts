import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { buildServer, type TestOptions } from "../support/server.ts";

/** How many nodes there are, and the Redis that they share. */
export interface ClusterOptions {
  nodes: number;
  /** Undefined for one node that keeps everything in memory. */
  redis: string | undefined;
}

/** The servers of a run, in this process. */
export class Servers {
  readonly #options: TestOptions;
  readonly #nodes: number;
  #apps: FastifyInstance[] = [];
  /** The ports of the servers; a client may connect to any of them. */
  ports: number[] = [];
  /** How often all connections were ended. */
  restarts = 0;

  constructor(options: TestOptions, { nodes, redis }: ClusterOptions) {
    // Each run has keys of its own.
    this.#options = redis === undefined ? options : { ...options, redis, redisPrefix: randomUUID() };
    this.#nodes = nodes;
  }

  /** How often all logs were lost. Redis keeps them when servers end. */
  get lostLogs(): number {
    return this.#options.redis === undefined ? this.restarts : 0;
  }

  async start(): Promise<this> {
    this.#apps = await Promise.all(Array.from({ length: this.#nodes }, () => buildServer(this.#options)));
    await Promise.all(this.#apps.map((app) => app.listen({ port: 0, host: "127.0.0.1" })));
    this.ports = this.#apps.map((app) => (app.server.address() as AddressInfo).port);
    return this;
  }

  /** Starts new servers, which know nothing, and closes the old ones. */
  async restart(): Promise<void> {
    const old = this.#apps;
    this.restarts++;
    await this.start();
    await Promise.all(old.map((app) => app.close()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#apps.map((app) => app.close()));
  }
}
