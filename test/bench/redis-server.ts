import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { Redis } from "ioredis";
import { programEnv } from "../support/programs.ts";
import { freePort } from "../support/proxy.ts";

/** A Redis of our own that keeps nothing on disk. */
export interface RedisServer {
  port: number;
  /** The CPU time that it has used since it started. */
  cpuMs(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts `redis-server` on a free port. It is killed when this process exits, if not before. */
export async function startRedis(): Promise<RedisServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "roomcast-bench-"));
  const listen = ["--bind", "127.0.0.1", "--port", `${port}`];
  const child = spawn("redis-server", [...listen, "--dir", folder, "--save", "", "--appendonly", "no"], {
    env: programEnv,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const kill = () => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", kill);
  await once(child, "spawn");
  if (!(await isReady(child.stdout))) throw new Error("redis-server did not start");
  const client = new Redis(port, "127.0.0.1");
  return {
    port,
    async cpuMs() {
      const usage = (await client.info("cpu")).matchAll(/^used_cpu_(?:user|sys):([\d.]+)/gm);
      return [...usage].reduce((sum, [, seconds]) => sum + Number(seconds) * 1_000, 0);
    },
    async stop() {
      client.disconnect();
      process.off("exit", kill);
      const exited = once(child, "exit");
      kill();
      await exited;
    },
  };
}

/** Reads the log; resolves with false if it ends before Redis accepts connections. */
async function isReady(log: Readable): Promise<boolean> {
  for await (const line of createInterface({ input: log })) {
    if (line.includes("Ready to accept connections")) return true;
  }
  return false;
}
