import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "../support/cluster.ts";
import { skipWithout } from "../support/programs.ts";
import { engineUrl } from "../support/raw.ts";
import { until } from "../support/until.ts";
import type { Load } from "./load.ts";
import { startNodes } from "./setup.ts";

/* Faults of the Redis of two nodes: their clients keep their connections. */

/** How often connections to Redis are killed. */
const kills = 10;

/** Resolves when a request of each member that sends messages was refused because Redis cannot be reached. */
const allRefused = ({ active }: Load) =>
  until(() => assert.equal(active.filter(({ refusals }) => refusals.of("unavailable") === 0).length, 0));

/** The status of the response to a new session on each node. */
const newSessions = ({ nodes }: Cluster) =>
  Promise.all(nodes.map(async ({ url }) => (await fetch(engineUrl(url, "polling"))).status));

describe("when the Redis of two nodes", { skip: skipWithout("redis") }, () => {
  test("stops for 4 s, requests are refused and connections stay", async (t) => {
    const { cluster, load, redis } = await startNodes(t, 2);
    redis.suspend();
    const over = sleep(4_000);
    await cluster.ready(503);
    await allRefused(load);
    assert.deepEqual(await newSessions(cluster), [503, 503]);
    for (const member of load.members) assert.equal(await member.notice("here"), "have here");
    const livez = await Promise.all(cluster.nodes.map(({ url }) => fetch(`${url}/livez`)));
    assert.deepEqual(
      livez.map(({ status }) => status),
      [200, 200],
    );
    await over;
    redis.resume();
    await cluster.ready(200);
    await load.settled();
    await load.progress();
    await load.conclude();
  });

  for (const type of ["pubsub", "normal"]) {
    test(`loses its ${type} connections again and again, they are restored`, async (t) => {
      const { cluster, load, redis } = await startNodes(t, 2);
      for (let n = 0; n < kills; n++) {
        await until(async () => {
          assert.notEqual(await redis.command("CLIENT", "KILL", "TYPE", type), 0);
        });
        await load.progress();
      }
      await cluster.ready(200);
      await load.settled();
      await load.conclude();
    });
  }

  test("restarts with its data, nothing is lost", async (t) => {
    const { cluster, load, redis } = await startNodes(t, 2);
    await redis.shutDown();
    await cluster.ready(503);
    await allRefused(load);
    await redis.start();
    await cluster.ready(200);
    await load.settled();
    await load.progress();
    await load.conclude();
  });

  test("restarts without its data, each member hears of the gap in each room", async (t) => {
    const { cluster, load, redis } = await startNodes(t, 2);
    await redis.shutDown({ keepsData: false });
    await cluster.ready(503);
    await redis.start();
    await cluster.ready(200);
    await load.settled();
    await load.progress();
    const gaps = () => load.members.map((member) => [...new Set(member.gaps)].toSorted());
    await until(() =>
      assert.deepEqual(
        gaps(),
        load.members.map(() => load.rooms.toSorted()),
      ),
    );
    await load.conclude({ lostLogs: 1 });
  });

  test("is slow, requests take longer and nothing else changes", async (t) => {
    const { cluster, load, links } = await startNodes(t, 2, { throughLinks: true });
    for (const link of links) link.delayMs = 50;
    for (let n = 0; n < kills; n++) await load.progress();
    await load.settled();
    assert.deepEqual(await Promise.all(cluster.nodes.map((node) => node.readiness())), [200, 200]);
    await load.conclude();
    for (const { name, refusals } of load.members) assert.deepEqual([...refusals], [], name);
  });

  test("has reached its memory limit, requests are refused until it has memory again", async (t) => {
    const { load, redis } = await startNodes(t, 2);
    await redis.command("CONFIG", "SET", "maxmemory", 1);
    await allRefused(load);
    await redis.command("CONFIG", "SET", "maxmemory", 0);
    await load.settled();
    await load.progress();
    await load.conclude();
  });
});
