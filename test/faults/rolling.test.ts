import assert from "node:assert/strict";
import { test } from "node:test";
import { Cluster } from "../support/cluster.ts";
import { skipWithout } from "../support/programs.ts";
import { startRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { nodeArgs, startLoad } from "./load.ts";
import type { LoadMember } from "./load-member.ts";

const nodes = 3;
const clients = 300;
const rooms = 20;
const messagesPerSecond = 200;

test(`a rolling restart of ${nodes} nodes loses no message of ${clients} clients in ${rooms} rooms`, {
  skip: skipWithout("redis"),
}, async (t) => {
  const { url } = await startRedis(t);
  const cluster = new Cluster(t, ...nodeArgs);
  await cluster.start(...Array.from({ length: nodes }, () => url));
  const plans = Array.from({ length: clients }, (_, n) => ({
    name: `client ${n}`,
    rooms: [`room ${n % rooms}`],
    isActive: true,
  }));
  const load = await startLoad(t, cluster, plans, messagesPerSecond);
  const start = { acked: load.acked, ms: performance.now() };
  const lost: LoadMember[] = [];
  for (const node of [...cluster.nodes]) {
    const moving = load.on(node);
    const losses = moving.map(({ disconnects }) => disconnects);
    lost.push(...moving);
    await node.shutDown();
    await until(() => {
      assert.deepEqual(
        moving.map(({ disconnects }) => disconnects),
        losses.map((count) => count + 1),
      );
      assert.equal(moving.filter(({ isOnline }) => !isOnline).length, 0);
    });
    await cluster.start(url);
    await load.progress();
  }
  const seconds = (performance.now() - start.ms) / 1_000;
  t.diagnostic(`${load.acked - start.acked} messages acked in ${seconds} s`);
  assert.equal(load.acked - start.acked >= 0.9 * seconds * messagesPerSecond, true);
  await load.settled();
  await load.conclude({ lost });
});
