import type { TestContext } from "node:test";
import { type Command, runCommand } from "../support/command.ts";

/** A server process that trusts a proxy on this machine. */
export class RunningNode {
  readonly command: Command;
  readonly address: string;

  constructor(command: Command, url: string) {
    this.command = command;
    this.address = new URL(url).host;
  }

  /** The node's log lines with this message. */
  lines(msg: string): Record<string, unknown>[] {
    const lines = this.command.stdout.split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line)).filter((line) => line.msg === msg);
  }
}

export async function startNode(t: TestContext, ...args: string[]): Promise<RunningNode> {
  const command = runCommand(t, ["--port", "0", "--trust-proxy", "loopback", ...args]);
  return new RunningNode(command, await command.ready());
}
