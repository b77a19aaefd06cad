import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

/** The open resources of a server, by name; all of them must be released when its clients leave. */
export type Counts = Record<string, number>;

/** Memory in use after garbage collection. */
export interface Memory {
  heapBytes: number;
  rssBytes: number;
}

export type Question = "counts" | "memory";
export type Report = { port: number } | { fault: string } | { counts: Counts } | { memory: Memory };

/** Something that the server must never do, described by the message. */
export class Finding extends Error {}

const longestStartMs = 120_000;
const longestAnswerMs = 10_000;
const longestDrainMs = 20_000;

/** The fuzzed server: a child process that answers questions and reports its faults. */
export class Target {
  readonly port: number;
  /** Rejects with the server's first fault; never resolves. */
  readonly fault: Promise<never>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, port: number, fault: Promise<never>) {
    this.#child = child;
    this.port = port;
    this.fault = fault;
  }

  static async start(): Promise<Target> {
    const file = fileURLToPath(new URL("server.ts", import.meta.url));
    const child = spawn(process.execPath, ["--expose-gc", "--import", "tsx", file], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const fault = faultOf(child);
    const [report] = await Promise.race([
      once(child, "message"),
      fault,
      late(longestStartMs, "does not start"),
    ]);
    if ("fault" in report) throw new Finding(report.fault);
    return new Target(child, report.port, fault);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async counts(): Promise<Counts> {
    const report = await this.#ask("counts");
    return (report as { counts: Counts }).counts;
  }

  async memory(): Promise<Memory> {
    const report = await this.#ask("memory");
    return (report as { memory: Memory }).memory;
  }

  /** Waits until the counts are as expected, which takes as long as the server's own timeouts. */
  async returnsTo(expected: Counts): Promise<void> {
    const deadline = Date.now() + longestDrainMs;
    for (;;) {
      const counted = await this.counts();
      if (isDeepStrictEqual(counted, expected)) return;
      if (Date.now() > deadline)
        throw new Finding(`something is left behind: ${difference(expected, counted)}`);
      await sleep(50);
    }
  }

  stop(): void {
    this.#child.removeAllListeners("exit");
    this.#child.kill("SIGKILL");
  }

  async #ask(question: Question): Promise<Report> {
    const answer = once(this.#child, "message");
    this.#child.send(question);
    const [report] = await Promise.race([answer, this.fault, late(longestAnswerMs, "does not answer")]);
    return report;
  }
}

function faultOf(child: ChildProcess): Promise<never> {
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (data) => {
      printed = (printed + data).slice(-4_000);
    });
  }
  const fault = new Promise<never>((_resolve, reject) => {
    child.on("message", (report: Report) => {
      if ("fault" in report) reject(new Finding(report.fault));
    });
    child.on("exit", (code, signal) =>
      reject(new Finding(`the server exited with ${signal ?? code}, having printed: ${printed}`)),
    );
  });
  fault.catch(() => {});
  return fault;
}

async function late(ms: number, what: string): Promise<never> {
  await sleep(ms, undefined, { ref: false });
  throw new Finding(`the server ${what} within ${ms / 1_000} s`);
}

function difference(expected: Counts, counted: Counts): string {
  const changed = Object.keys(expected).filter((name) => expected[name] !== counted[name]);
  return changed.map((name) => `${name} ${counted[name]} instead of ${expected[name]}`).join(", ");
}
