import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { samples } from "./scrape.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/**
 * Bounds so low that the mix meets them all the time. A silent client is late for `outboxAge` before it is for
 * `pingTimeout`, so that one knows which of the two ends it. A handshake may wait long for its room to be free.
 */
export const settings = {
  "events-per-second": 50,
  "events-burst": 100,
  "outbox-max": 200_000,
  "outbox-age": 5_000,
  "memory-max": 256_000_000,
  "ping-interval": 3_000,
  "ping-timeout": 15_000,
  "handshake-timeout": 120_000,
  "max-payload": 200_000,
  "max-text": 60_000,
  "max-rooms": 20,
  "max-connections-per-address": 8_000,
};

/** The memory of a process as the operating system counts it, in bytes. */
export interface Memory {
  resident: number;
  /** The most that was ever resident. */
  peak: number;
}

/** The real command in a process of its own. */
export class House {
  readonly url: string;
  readonly #operationsUrl: string;
  readonly #process: ChildProcess;
  #stdout = "";
  #stderr = "";

  readonly #inspectorPort: number;

  private constructor(port: number, operationsPort: number, inspectorPort: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#operationsUrl = `http://127.0.0.1:${operationsPort}`;
    const flags = { port, "operations-port": operationsPort, "log-level": "warn", ...settings };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    this.#inspectorPort = inspectorPort;
    const inspect = [`--inspect=127.0.0.1:${inspectorPort}`, "--inspect-publish-uid=http"];
    this.#process = spawn(process.execPath, [...inspect, "--import", "tsx", main, ...args], {
      env: { PATH: process.env.PATH },
      stdio: ["ignore", "pipe", "pipe"],
    });
    process.on("exit", () => this.#process.kill("SIGKILL"));
    this.#process.stdout?.on("data", (data) => {
      this.#stdout += data;
    });
    this.#process.stderr?.on("data", (data) => {
      this.#stderr += data;
    });
  }

  /** Resolves when it answers. A server that logs warnings alone does not tell its port: it is given one. */
  static async open(): Promise<House> {
    const house = new House(await freePort(), await freePort(), await freePort());
    while (!(await house.answers())) {
      if (house.#process.exitCode !== null) throw new Error(`the server did not start: ${house.#stderr}`);
      await sleep(50);
    }
    return house;
  }

  async answers(): Promise<boolean> {
    const [clients, operators] = await Promise.allSettled([
      fetch(`${this.url}/healthz`),
      fetch(`${this.#operationsUrl}/readyz`),
    ]);
    return clients.status === "fulfilled" && operators.status === "fulfilled";
  }

  /** All that the server counts, by series. */
  async scrape(): Promise<Map<string, number>> {
    return samples(await (await fetch(`${this.#operationsUrl}/metrics`)).text());
  }

  /** Has it collect its garbage, which V8 may leave lying about for long after the last client has gone. */
  async collect(): Promise<void> {
    const list = await fetch(`http://127.0.0.1:${this.#inspectorPort}/json/list`);
    const [{ webSocketDebuggerUrl }] = (await list.json()) as [{ webSocketDebuggerUrl: string }];
    const inspector = new WebSocket(webSocketDebuggerUrl);
    await once(inspector, "open");
    inspector.send('{"id":1,"method":"HeapProfiler.collectGarbage"}');
    await once(inspector, "message");
    inspector.terminate();
  }

  get memory(): Memory {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    const bytes = (name: string) => 1_024 * Number(status.match(`${name}:\\s+(\\d+) kB`)?.[1]);
    return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
  }

  /** What it logged as an error or worse, or wrote to stderr, in words. */
  get faults(): string[] {
    const isFault = (line: string) => !/"level":[1-4]0,|^Debugger /.test(line);
    const lines = (text: string) => text.split("\n").filter((line) => line !== "");
    return lines(this.#stdout + this.#stderr)
      .filter(isFault)
      .map((line) => `the server logged: ${line}`);
  }

  /** Asks it to stop. @returns its exit code, null where it had to be killed */
  async close(): Promise<number | null> {
    if (this.#process.exitCode !== null) return this.#process.exitCode;
    const late = setTimeout(() => this.#process.kill("SIGKILL"), 10_000);
    const exit = once(this.#process, "close");
    this.#process.kill("SIGTERM");
    const [code] = await exit;
    clearTimeout(late);
    return code as number | null;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
