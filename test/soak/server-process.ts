import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { scrape } from "../support/metrics.ts";
import { freePort } from "../support/proxy.ts";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

/**
 * Bounds so low that the clients meet them all the time. A silent client exceeds `send-queue-age` before `ping-timeout`,
 * so that it is known which of the two ends it. A handshake may wait long for its room to be free.
 */
export const settings = {
  "events-per-second": 50,
  "events-burst": 100,
  "send-queue-max": 200_000,
  "send-queue-age": 5_000,
  "memory-max": 256_000_000,
  "inbound-memory-max": 128_000_000,
  "ping-interval": 3_000,
  "ping-timeout": 15_000,
  "handshake-timeout": 120_000,
  "max-payload": 200_000,
  "max-text": 60_000,
  "max-rooms": 50,
  "max-connections-per-address": 8_000,
};

/** Counters and gauges by series, as in a scrape of `/metrics`. */
export type Samples = ReadonlyMap<string, number>;

/** The sum of all series of one metric, or of those with this label. */
export function total(samples: Samples, name: string, label = ""): number {
  let sum = 0;
  for (const [key, value] of samples)
    if (key.replace(/\{.*/, "") === name && key.includes(label)) sum += value;
  return sum;
}

/** The command in a process of its own. */
export class ServerProcess {
  readonly url: string;
  readonly #operationsUrl: string;
  readonly #inspectorPort: number;
  readonly #process: ChildProcess;
  #output = "";

  private constructor(port: number, operationsPort: number, inspectorPort: number) {
    this.url = `http://127.0.0.1:${port}`;
    this.#operationsUrl = `http://127.0.0.1:${operationsPort}`;
    this.#inspectorPort = inspectorPort;
    const flags = { port, "operations-port": operationsPort, "log-level": "warn", ...settings };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const inspect = [`--inspect=127.0.0.1:${inspectorPort}`, "--inspect-publish-uid=http"];
    this.#process = spawn(process.execPath, [...inspect, "--import", "tsx", main, ...args], {
      env: { PATH: process.env.PATH },
      stdio: ["ignore", "pipe", "pipe"],
    });
    process.on("exit", () => this.#process.kill("SIGKILL"));
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      stream?.on("data", (data) => {
        this.#output += data;
      });
    }
  }

  /** Resolves when it answers. It logs warnings only and so does not print its port: it is given one. */
  static async start(): Promise<ServerProcess> {
    const server = new ServerProcess(await freePort(), await freePort(), await freePort());
    while (!(await server.#answers())) {
      if (server.#process.exitCode !== null) throw new Error(`the server did not start: ${server.#output}`);
      await sleep(50);
    }
    return server;
  }

  scrape(): Promise<Map<string, number>> {
    return scrape(this.#operationsUrl);
  }

  /** Runs a full garbage collection, which V8 may put off for long after the last client has gone. */
  async collectGarbage(): Promise<void> {
    const list = await fetch(`http://127.0.0.1:${this.#inspectorPort}/json/list`);
    const [{ webSocketDebuggerUrl }] = (await list.json()) as [{ webSocketDebuggerUrl: string }];
    const inspector = new WebSocket(webSocketDebuggerUrl);
    await once(inspector, "open");
    inspector.send('{"id":1,"method":"HeapProfiler.collectGarbage"}');
    await once(inspector, "message");
    inspector.terminate();
  }

  /** Resident memory now and at its peak, in bytes, as the operating system counts it; NaN without /proc. */
  get memory(): { resident: number; peak: number } {
    const path = `/proc/${this.#process.pid}/status`;
    const status = existsSync(path) ? readFileSync(path, "utf8") : "";
    const bytes = (name: string) => 1_024 * Number(status.match(`${name}:\\s+(\\d+) kB`)?.[1] ?? Number.NaN);
    return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
  }

  /** How many file descriptors the process has open; NaN without /proc. */
  get descriptors(): number {
    const path = `/proc/${this.#process.pid}/fd`;
    return existsSync(path) ? readdirSync(path).length : Number.NaN;
  }

  /** Errors that it logged, and everything it wrote that is no log line. */
  get faults(): string[] {
    const isFault = (line: string) => line !== "" && !/"level":[1-4]0,|^Debugger |^For help, see/.test(line);
    return this.#output
      .split("\n")
      .filter(isFault)
      .map((line) => `the server logged: ${line}`);
  }

  /** Asks it to stop. @returns its exit code, null if it had to be killed */
  async stop(): Promise<number | null> {
    if (this.#process.exitCode !== null) return this.#process.exitCode;
    const late = setTimeout(() => this.#process.kill("SIGKILL"), 10_000);
    const exit = once(this.#process, "close");
    this.#process.kill("SIGTERM");
    const [code] = await exit;
    clearTimeout(late);
    return code as number | null;
  }

  async #answers(): Promise<boolean> {
    const answers = await Promise.allSettled([
      fetch(`${this.url}/healthz`),
      fetch(`${this.#operationsUrl}/readyz`),
    ]);
    return answers.every(({ status }) => status === "fulfilled");
  }
}

/** What a server without clients uses: memory in bytes, and file descriptors. */
export interface Usage {
  resident: number;
  heap: number;
  external: number;
  descriptors: number;
}

/** The longest that sessions outlive their clients: a polling session ends with its last unanswered ping. */
const longestMs = 20_000;

/** Waits until the server has no session left, and no more file descriptors than before; or for very long. */
export async function quiet(server: ServerProcess, descriptors: number): Promise<void> {
  const isBusy = async () =>
    total(await server.scrape(), "roomcast_sessions") > 0 || server.descriptors > descriptors;
  for (const deadline = Date.now() + longestMs; Date.now() < deadline && (await isBusy()); ) await sleep(200);
}

/**
 * Measures a server that its clients have left, after a rest and without garbage. Each figure is the least of some
 * seconds, since pages return to the operating system one by one.
 */
export async function measure(
  server: ServerProcess,
  restSeconds: number,
  descriptors: number,
): Promise<Usage> {
  await quiet(server, descriptors);
  await sleep((restSeconds * 1_000) / 2);
  await server.collectGarbage();
  const least = { resident: Infinity, heap: Infinity, external: Infinity, descriptors: Infinity };
  for (let second = 0; second < restSeconds / 2; second++) {
    await sleep(1_000);
    const samples = await server.scrape();
    const now: Usage = {
      resident: total(samples, "process_resident_memory_bytes"),
      heap: total(samples, "nodejs_heap_size_used_bytes"),
      external: total(samples, "nodejs_external_memory_bytes"),
      descriptors: server.descriptors,
    };
    for (const name of Object.keys(least) as (keyof Usage)[]) least[name] = Math.min(least[name], now[name]);
  }
  return least;
}
