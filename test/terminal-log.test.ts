import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";
import { terminalLog } from "../src/terminal-log.ts";
import { Command, main } from "./support/command.ts";
import { skipWithout } from "./support/programs.ts";

function written(fields: object, hasColors = false): string {
  const texts: string[] = [];
  const terminal = { write: (text: string) => texts.push(text), hasColors: () => hasColors };
  const time = new Date(2026, 0, 1, 9, 5, 7).getTime();
  terminalLog(terminal).write(
    `${JSON.stringify({ level: 30, time, pid: 1, hostname: "here", ...fields })}\n`,
  );
  return texts.join();
}

describe("a log line on a terminal shows", () => {
  const cases: Record<string, [fields: object, text: string]> = {
    "time, level and message": [{ msg: "ready" }, "[09:05:07] INFO: ready\n"],
    "the node": [{ msg: "ready", node: "16d9d30b9c" }, "[09:05:07] INFO 16d9d30b9c: ready\n"],
    "a custom level": [{ level: 35, msg: "hm" }, "[09:05:07] LEVEL 35: hm\n"],
    "other fields as JSON": [
      { msg: "x", address: "::1", at: { port: 1 }, nothing: null },
      '[09:05:07] INFO: x\n    address: "::1"\n    at: {"port":1}\n    nothing: null\n',
    ],
    "an error's stack and code": [
      { level: 60, msg: "x", err: { type: "Error", message: "x", stack: "Error: x\n    at y", code: "E" } },
      '[09:05:07] FATAL: x\n    Error: x\n        at y\n    code: "E"\n',
    ],
    "an empty message if there is none": [{ a: 1 }, "[09:05:07] INFO: \n    a: 1\n"],
    "control characters escaped": [
      { msg: "a\nb\x1b[2J", "k\r": "\x9b\u202e" },
      '[09:05:07] INFO: a\\u000ab\\u001b[2J\n    k\\u000d: "\\u009b\\u202e"\n',
    ],
  };
  for (const [name, [fields, text]] of Object.entries(cases)) {
    test(name, () => assert.equal(written(fields), text));
  }
});

test("colours the level and the message if the terminal supports colours", () => {
  assert.equal(written({ msg: "ready" }, true), "[09:05:07] \x1b[32mINFO\x1b[39m: \x1b[36mready\x1b[39m\n");
});

test("the command logs in a readable format on a terminal", { skip: skipWithout("script") }, async (t) => {
  const command = `"${process.execPath}" "${main}" --port 0`;
  const env = { ...process.env, NO_COLOR: "1" };
  const terminal = new Command(spawn("script", ["-qec", command, "/dev/null"], { env }));
  t.after(() => terminal.process.kill());
  await terminal.ready();
  assert.match(terminal.stdout, /^\[\d\d:\d\d:\d\d\] INFO: roomcast is ready: open http/m);
});
