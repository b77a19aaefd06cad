import assert from "node:assert/strict";
import { test } from "node:test";
import { House } from "./house.ts";
import { Ledger } from "./ledger.ts";
import { perform } from "./performance.ts";
import { quiet } from "./quiet.ts";
import { Stage } from "./stage.ts";
import { compare, complaints, table } from "./verdict.ts";

/*
 * The soak in short. Memory is looked at in the long run alone: `npm run soak`.
 */

test("after all kinds of clients for a while, the counters say what these saw, and nothing is left of them", async (t) => {
  const [clients, seconds, seed] = [60, 8, 1];
  const house = await House.open();
  t.after(() => house.close());
  const ledger = new Ledger();
  await perform(new Stage(house, ledger, clients), { clients, seconds, seed });
  await quiet(house, 200);
  const rows = compare(ledger, await house.scrape());
  assert.deepEqual([...complaints(rows, ledger), ...house.faults], [], table(rows));
  assert.equal(await house.close(), 0);
});
