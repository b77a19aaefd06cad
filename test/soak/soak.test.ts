import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutSignals } from "../support/programs.ts";
import { ExpectedCounts } from "./expected-counts.ts";
import { compare, discrepancies, table } from "./report.ts";
import { Scenario } from "./scenario.ts";
import { quiet, ServerProcess } from "./server-process.ts";

/*
 * A short soak test. Only the long one, `npm run soak`, measures memory.
 */

test("serves every well-behaved client among all kinds of others, counts correctly and leaves nothing open", {
  skip: skipWithoutSignals,
}, async (t) => {
  const server = await ServerProcess.start();
  t.after(() => server.stop());
  const { descriptors } = server;
  const counts = new ExpectedCounts();
  await new Scenario(server, counts, { clients: 66, seconds: 8, seed: 1 }).play();
  await quiet(server, descriptors);
  const left = server.descriptors;
  const rows = compare(counts, await server.scrape());
  assert.deepEqual([...discrepancies(rows, counts), ...server.faults], [], table(rows));
  if (Number.isNaN(left)) t.diagnostic("Skipping the count of open file descriptors: /proc is not available");
  else assert.ok(left <= descriptors, `${left} descriptors, ${descriptors} at the start`);
  assert.equal(await server.stop(), 0);
});
