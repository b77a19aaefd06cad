import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ClusterNode } from "../support/cluster.ts";
import { skipWithout } from "../support/programs.ts";
import { until } from "../support/until.ts";
import { settleMs } from "./load.ts";
import type { LoadMember } from "./load-member.ts";
import { aloneOn, startNodes } from "./setup.ts";

/* Faults of one of three nodes. */

/** Resolves when each of these members has lost its connection. */
const allLost = (members: readonly LoadMember[]) =>
  until(() => assert.deepEqual(new Set(members.map(({ disconnects }) => disconnects)), new Set([1])));

describe("of three nodes on Redis", { skip: skipWithout("redis") }, () => {
  test("one that is killed loses no message, and its members leave the others' counts within the lease", async (t) => {
    const { cluster, load } = await startNodes(t, 3);
    const node = cluster.nodes[1] as ClusterNode;
    const lost = load.on(node);
    node.kill();
    await allLost(lost);
    await load.settled();
    await load.progress();
    await load.conclude({ lost, departed: aloneOn(1) });
  });

  test("one that is stopped for longer than its lease is taken for dead, and ends its connections when it continues", async (t) => {
    const { cluster, load } = await startNodes(t, 3);
    const node = cluster.nodes[1] as ClusterNode;
    const lost = load.on(node);
    const others = load.active.filter((member) => !lost.includes(member));
    node.suspend();
    await load.settled(settleMs, node);
    await load.progress(others);
    node.resume();
    await allLost(lost);
    await load.settled();
    await load.progress();
    const departed = lost.map(({ userId }) => userId).filter((userId) => userId !== "twin");
    await load.conclude({ lost, departed, excused: lost });
  });

  test("one that is stopped for less than its lease keeps its connections", async (t) => {
    const { cluster, load } = await startNodes(t, 3);
    const node = cluster.nodes[1] as ClusterNode;
    const others = load.active.filter((member) => !load.on(node).includes(member));
    node.suspend();
    await load.progress(others);
    node.resume();
    await load.settled();
    await load.progress();
    await load.conclude();
  });

  test("one that is shut down moves its clients to the others", async (t) => {
    const { cluster, load } = await startNodes(t, 3);
    const node = cluster.nodes[1] as ClusterNode;
    const lost = load.on(node);
    await node.shutDown();
    await allLost(lost);
    await load.settled();
    await load.progress();
    await load.conclude({ lost, departed: aloneOn(1) });
  });

  test("one that cannot reach Redis for longer than its lease says so, and ends its connections when it can", async (t) => {
    const { cluster, links, load } = await startNodes(t, 3, { throughLinks: true });
    const [node, link] = [cluster.nodes[1] as ClusterNode, links[1]];
    const lost = load.on(node);
    link?.stall(["to client", "to server"]);
    node.isInService = false;
    await load.settled(settleMs, node);
    assert.equal(await node.readiness(), 503);
    link?.calm();
    node.isInService = true;
    await allLost(lost);
    await load.settled();
    await load.progress();
    const departed = lost.map(({ userId }) => userId).filter((userId) => userId !== "twin");
    await load.conclude({ lost, departed });
  });
});
