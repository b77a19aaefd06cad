import assert from "node:assert/strict";
import { test } from "node:test";
import { Cluster } from "../support/cluster.ts";
import { skipWithoutSignals } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { nodeArgs, startLoad } from "./load.ts";
import { plans } from "./setup.ts";

/* The load itself, on one node that keeps everything in memory. */

const inMemory = nodeArgs.slice(2);

test("members whose connections are cut miss nothing, and are reported as the load expects", async (t) => {
  const cluster = new Cluster(t, ...inMemory);
  await cluster.start(undefined);
  const load = await startLoad(t, cluster, plans(1));
  const lost = load.members.filter(({ name }) => /talker 1|alone/.test(name));
  for (const { link } of lost) link.cut();
  await until(() => assert.equal(load.members.filter(({ disconnects }) => disconnects === 1).length, 2));
  await load.settled();
  await load.progress();
  await load.conclude({ lost, departed: ["alone 0"] });
});

test("a lost connection that the load does not expect is found", async (t) => {
  const cluster = new Cluster(t, ...inMemory);
  await cluster.start(undefined);
  const load = await startLoad(t, cluster, plans(1));
  load.active[0]?.link.cut();
  await load.progress();
  await assert.rejects(load.conclude(), /lost connections of talker 0/);
});

test("lost logs that the load does not expect are found", { skip: skipWithoutSignals }, async (t) => {
  const cluster = new Cluster(t, ...inMemory);
  await cluster.start(undefined);
  const load = await startLoad(t, cluster, plans(1));
  await cluster.start(undefined);
  cluster.nodes[0]?.kill();
  await load.progress();
  const lost = load.members.filter(({ disconnects }) => disconnects === 1);
  assert.equal(lost.length, load.members.length);
  await assert.rejects(load.conclude({ lost }), /has the epochs .* although no log was lost/);
  await load.conclude({ lost, lostLogs: 1 });
});
