import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { type Command, runCommand } from "./command.ts";
import { FaultyLink } from "./faulty-link.ts";
import { until } from "./until.ts";

/** A node: the built command in its own process. */
export class ClusterNode {
  readonly url: string;
  readonly port: number;
  readonly #command: Command;
  /** Whether new connections may go to it, as a load balancer decides. */
  isInService = true;

  constructor(url: string, command: Command) {
    this.url = url;
    this.port = Number(new URL(url).port);
    this.#command = command;
  }

  /** Ends the process at once. */
  kill(): void {
    this.isInService = false;
    this.#command.process.kill("SIGKILL");
  }

  /** Stops the process: connections stay open, but nothing is answered until {@link resume}. */
  suspend(): void {
    this.isInService = false;
    this.#command.process.kill("SIGSTOP");
  }

  resume(): void {
    this.isInService = true;
    this.#command.process.kill("SIGCONT");
  }

  /** Takes it out of service and ends the process as an operator does. */
  async shutDown(): Promise<void> {
    this.isInService = false;
    this.#command.process.kill("SIGTERM");
    assert.equal(await this.#command.exit(), 0, this.#command.stderr);
  }

  /** The status of `/readyz`. */
  async readiness(): Promise<number> {
    return (await fetch(`${this.url}/readyz`)).status;
  }
}

/** Nodes that clients find as behind a load balancer. They are killed when the test ends. */
export class Cluster {
  readonly nodes: ClusterNode[] = [];
  readonly #t: TestContext;
  readonly #args: string[];

  constructor(t: TestContext, ...args: string[]) {
    this.#t = t;
    this.#args = args;
  }

  /** Starts one node per URL of a Redis; without a URL, the node keeps everything in memory. */
  async start(...redis: (string | undefined)[]): Promise<void> {
    this.nodes.push(...(await Promise.all(redis.map((url) => this.#startNode(url)))));
  }

  /** Waits until `/readyz` of all nodes has this status. */
  ready(status: number): Promise<void> {
    const expected = this.nodes.map(() => status);
    return until(async () => {
      assert.deepEqual(await Promise.all(this.nodes.map((node) => node.readiness())), expected);
    });
  }

  async #startNode(redis: string | undefined): Promise<ClusterNode> {
    const store = redis === undefined ? [] : ["--redis", redis];
    const command = runCommand(this.#t, ["--port", "0", ...store, ...this.#args]);
    const failed = command.exit().then((code) => assert.fail(`exited with ${code}: ${command.stderr}`));
    failed.catch(() => {});
    return new ClusterNode(await Promise.race([command.ready(), failed]), command);
  }

  /** Opens the connection of the nth client, which starts at the nth node and later finds any that is in service. */
  async link(n: number): Promise<FaultyLink> {
    const link = await FaultyLink.open(() => this.#portsFrom(n));
    this.#t.after(() => link.close());
    return link;
  }

  #portsFrom(n: number): number[] {
    const ports = this.nodes.filter(({ isInService }) => isInService).map(({ port }) => port);
    const first = n % ports.length;
    return [...ports.slice(first), ...ports.slice(0, first)];
  }
}
