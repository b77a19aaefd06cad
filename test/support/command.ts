import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";

/** The built command, which starts in half the time that its sources need; run.ts builds it. */
export const main = fileURLToPath(new URL("../../dist/main.js", import.meta.url));

/** The command in its own process, and its output so far. */
export class Command {
  stdout = "";
  stderr = "";
  readonly process: ChildProcess;
  readonly #exit: Promise<unknown[]>;

  constructor(process: ChildProcess) {
    this.process = process;
    this.#exit = once(process, "close");
    process.stdout?.on("data", (data) => {
      this.stdout += data;
    });
    process.stderr?.on("data", (data) => {
      this.stderr += data;
    });
  }

  /** Resolves with the exit code once all output has arrived. */
  async exit(): Promise<number | null> {
    const [code] = await this.#exit;
    return code as number | null;
  }

  /** Resolves with the address that the command prints when it is ready. */
  async ready(): Promise<string> {
    for (;;) {
      const address = this.stdout.match(/open (https?:\/\/[^\s"]+)/)?.[1];
      if (address) return address;
      await once(this.process.stdout as NodeJS.EventEmitter, "data");
    }
  }
}

/** Starts the command; it is killed when the test ends. */
export function runCommand(t: TestContext, args: string[], env: Record<string, string> = {}): Command {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => child.kill("SIGKILL"));
  return new Command(child);
}
