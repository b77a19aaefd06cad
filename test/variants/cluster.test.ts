import { test } from "node:test";
import { skipWithout } from "../support/programs.ts";

/* The suites of behaviour on two nodes that share a real Redis, with every second client on the second node. */
const suites = ["contract", "direct", "history", "presence", "privacy", "publish", "recovery"];
const skip = skipWithout("redis");
process.env.CLUSTER = "1";
if (skip) test("on two nodes", { skip }, () => {});
else for (const suite of suites) await import(`../${suite}.test.ts`);
