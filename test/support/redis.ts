import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Redis } from "ioredis";
import { programEnv } from "./programs.ts";
import { freePort } from "./proxy.ts";

/** Writes each change to disk, so that a restart keeps all data. */
const persistence = ["--save", "", "--appendonly", "yes"];

/** A real redis-server in its own process. It keeps its port when it is started again. */
export class RedisServer {
  readonly port: number;
  readonly #folder = mkdtempSync(join(tmpdir(), "roomcast-redis-"));
  readonly #admin: Redis;
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
    this.#admin = new Redis({ port, lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 20 });
    // While the server is down, each attempt to connect reports an error.
    this.#admin.on("error", () => {});
  }

  static async open(): Promise<RedisServer> {
    const redis = new RedisServer(await freePort());
    await redis.start();
    return redis;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts the process with the data that are on disk. Resolves when it answers commands. */
  async start(): Promise<void> {
    const address = ["--bind", "127.0.0.1", "--port", String(this.port)];
    const child = spawn("redis-server", [...address, "--dir", this.#folder, ...persistence], {
      env: programEnv,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
    });
    this.#process = child;
    // A process that fails on an error runs no hooks of tests.
    const kill = () => child.kill("SIGKILL");
    process.on("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    const exited = once(child, "close").then(([code]) => {
      throw new Error(`redis-server exited with ${code}:\n${output}`);
    });
    // It exits when the test ends, too.
    exited.catch(() => {});
    await Promise.race([this.command("PING"), exited]);
  }

  /** Ends the process as an operator does. */
  async shutDown({ keepsData = true } = {}): Promise<void> {
    await this.#end("SIGTERM");
    if (!keepsData) rmSync(join(this.#folder, "appendonlydir"), { recursive: true });
  }

  /** Keeps the data of this moment for {@link rollBack}. */
  keep(): void {
    cpSync(join(this.#folder, "appendonlydir"), join(this.#folder, "kept"), { recursive: true });
  }

  /** Ends the process without a chance to save anything, and starts it with the data that were kept. */
  async rollBack(): Promise<void> {
    await this.#end("SIGKILL");
    rmSync(join(this.#folder, "appendonlydir"), { recursive: true });
    renameSync(join(this.#folder, "kept"), join(this.#folder, "appendonlydir"));
    await this.start();
  }

  /** Stops the process: connections stay open, but nothing is answered until {@link resume}. */
  suspend(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Sends a command on a connection of the test's own, and resolves with the reply. */
  command(name: string, ...args: (string | number)[]): Promise<unknown> {
    return this.#admin.call(name, ...args);
  }

  async close(): Promise<void> {
    this.#admin.disconnect();
    await this.#end("SIGKILL");
    rmSync(this.#folder, { recursive: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill(signal);
    await closed;
  }
}

/** Starts a redis-server, which is killed when the test ends. */
export async function startRedis(t: TestContext): Promise<RedisServer> {
  const redis = await RedisServer.open();
  t.after(() => redis.close());
  return redis;
}
