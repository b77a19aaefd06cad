import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { RoomcastOptions } from "../../src/roomcast.ts";
import { buildServer } from "../support/server.ts";

/** The servers of a run, in this process. */
export class Servers {
  readonly #options: RoomcastOptions;
  #apps: FastifyInstance[] = [];
  /** The ports of the servers; a client may connect to any of them. */
  ports: number[] = [];
  /** How often all logs were lost. */
  restarts = 0;

  constructor(options: RoomcastOptions) {
    this.#options = options;
  }

  async start(): Promise<this> {
    const app = await buildServer(this.#options);
    await app.listen({ port: 0, host: "127.0.0.1" });
    this.#apps = [app];
    this.ports = [(app.server.address() as AddressInfo).port];
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
