import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { main } from "../support/command.ts";
import { scrape } from "../support/metrics.ts";
import { freePort } from "../support/proxy.ts";

/**
 * Limits so low that the clients reach them all the time. A silent client exceeds `send-queue-age` before
 * `ping-timeout`, so that it is known which of the two ends it. The handshake timeout is long because a
 * handshake may wait for a locked room.
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

/** The command in its own process. */
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
    this.#process = spawn(process.execPath, [...inspect, main, ...args], {
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

  /**
   * Resolves when the server responds. It logs only warnings and so does not print its port: it is given one.
   */
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

  /** Runs a full garbage collection, which V8 may delay long after the last client has disconnected. */
  async collectGarbage(): Promise<void> {
    const list = await fetch(`http://127.0.0.1:${this.#inspectorPort}/json/list`);
    const [{ webSocketDebuggerUrl }] = (await list.json()) as [{ webSocketDebuggerUrl: string }];
    const inspector = new WebSocket(webSocketDebuggerUrl);
    await once(inspector, "open");
    inspector.send('{"id":1,"method":"HeapProfiler.collectGarbage"}');
    await once(inspector, "message");
    inspector.terminate();
  }

  /** The current and the peak resident memory in bytes; NaN without /proc. */
  get memory(): { resident: number; peak: number } {
    const path = `/proc/${this.#process.pid}/status`;
    const status = existsSync(path) ? readFileSync(path, "utf8") : "";
    const bytes = (name: string) => 1_024 * Number(status.match(`${name}:\\s+(\\d+) kB`)?.[1] ?? Number.NaN);
    return { resident: bytes("VmRSS"), peak: bytes("VmHWM") };
  }

  /** The number of open file descriptors; NaN without /proc. */
  get descriptors(): number {
    const path = `/proc/${this.#process.pid}/fd`;
    return existsSync(path) ? readdirSync(path).length : Number.NaN;
  }

  /** Errors that the server logged, and all output that is not a log line. */
  get faults(): string[] {
    const isFault = (line: string) => line !== "" && !/"level":[1-4]0,|^Debugger |^For help, see/.test(line);
    return this.#output
      .split("\n")
      .filter(isFault)
      .map((line) => `the server logged: ${line}`);
  }

  /** Stops the server with SIGTERM. @returns its exit code, null if it had to be killed */
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

/** The resources of a server without clients: memory in bytes, and file descriptors. */
export interface Usage {
  resident: number;
  heap: number;
  external: number;
  descriptors: number;
}

/**
 * The longest time that sessions outlive their clients: a polling session ends with its last unanswered ping.
 */
const longestMs = 20_000;

/**
 * Waits until the server has no sessions and no more file descriptors than before, but no longer than
 * `longestMs`.
 */
export async function quiet(server: ServerProcess, descriptors: number): Promise<void> {
  const isBusy = async () =>
    total(await server.scrape(), "roomcast_sessions") > 0 || server.descriptors > descriptors;
  for (const deadline = Date.now() + longestMs; Date.now() < deadline && (await isBusy()); ) await sleep(200);
}

/**
 * Measures a server without clients, after a rest and a garbage collection. Each figure is the minimum over
 * several seconds, because pages return to the operating system gradually.
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
