import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { runTool } from "../support/tool.ts";
import { plan } from "./plans.ts";

const command = fileURLToPath(new URL("fuzz.ts", import.meta.url));

const fuzz = (...args: string[]) => runTool(command, args);

test("ten seconds of mutated traffic harm no healthy client and leave nothing behind", async () => {
  const { code, output } = await fuzz("--seconds", "10");
  assert.equal(code, 0, output);
});

test("the seed alone determines what a session does", () => {
  const plans = (seed: number) => Array.from({ length: 50 }, (_, index) => plan(seed, index));
  assert.deepEqual(plans(7), plans(7));
  assert.notDeepEqual(plans(7), plans(8));
});

test("reports invalid arguments in one sentence", async () => {
  const wrong = [
    ["--seconds", "0"],
    ["--seconds", "soon"],
    ["--seed", "-1"],
    ["--seed"],
    ["--speed", "1"],
    ["60"],
  ];
  for (const args of wrong) {
    const { code, output } = await fuzz(...args);
    assert.deepEqual([code, output.trim().split("\n").length], [2, 1], output);
  }
});
