import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { coreOf } from "../src/roomcast.ts";
import { enter } from "./support/client.ts";
import { skipWithout } from "./support/programs.ts";
import { type RedisServer, startRedis } from "./support/redis.ts";
import { RedisProxy } from "./support/redis-proxy.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

/** A Redis with two nodes in this process, the first of them behind a proxy. */
interface Setup {
  redis: RedisServer;
  proxy: RedisProxy;
  a: RunningServer;
  b: RunningServer;
}

async function startNodes(t: TestContext): Promise<Setup> {
  const redis = await startRedis(t);
  const proxy = await RedisProxy.open(t, redis);
  const [a, b] = await Promise.all([
    startServer(t, { redis: proxy.url }),
    startServer(t, { redis: redis.url }),
  ]);
  return { redis, proxy, a, b };
}

const clusterOf = ({ app }: RunningServer) => coreOf(app).cluster ?? assert.fail("no cluster");

describe("a node on Redis", { skip: skipWithout("redis") }, () => {
  test("subscribes again when its subscriber is lost while it recovers from an earlier loss", async (t) => {
    const { proxy, a, b } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "lobby");
    const bob = await enter(t, b.url, "bob", "lobby");
    const { link, channels } = clusterOf(a).node;
    const reads = proxy.holdAnswerTo("commands", "after");
    proxy.cut("commands");
    await reads;
    assert.equal(channels.counts.resubscriptions, 1);
    proxy.cut("subscriber");
    await until(() => assert.equal(link.isConnected, false));
    await until(() => assert.equal(link.isConnected, true));
    proxy.release("commands");
    await bob.ask("chat", "hello");
    await ann.hears("<= hello");
  });

  test("goes on when messages of a log that was lost arrive late", async (t) => {
    const { redis, proxy, a, b } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "lobby");
    const bob = await enter(t, b.url, "bob", "lobby");
    await bob.ask("chat", "one");
    await ann.hears("<= one");
    const reads = proxy.holdAnswerTo("commands", "after");
    proxy.cut("subscriber");
    await reads;
    await bob.ask("chat", "two");
    await redis.command("FLUSHALL");
    proxy.cut("commands");
    proxy.release("commands");
    const channel = clusterOf(a).node.channels.get("/", "lobby");
    await until(() => assert.equal(channel?.isStalled, false));
    await until(async () => assert.equal((await bob.ask("chat", "three")).error, undefined));
    await ann.hears("<= three");
  });

  test("keeps a member that has repeated a refused join", async (t) => {
    const { redis, proxy, a } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "lobby");
    await enter(t, a.url, "bob", "den");
    await redis.shutDown();
    await until(async () => assert.equal((await ann.ask("join", "den")).error?.code, "unavailable"));
    // The refused request is undone when Redis is back, at the end of the recovery.
    const { departures } = clusterOf(a).node;
    await until(() => assert.equal(departures.size, 1));
    const recovers = proxy.holdAnswerTo("subscriber", "subscribe");
    await redis.start();
    await recovers;
    const joined = ann.ask("join", "den");
    await until(async () => assert.equal(await redis.command("HLEN", "roomcast:{/ den}:members"), 2));
    proxy.release("subscriber");
    assert.deepEqual((await joined).rooms, ["lobby", "den"]);
    await until(() => assert.equal(departures.size, 0));
    assert.equal((await ann.ask("chat", "hello", "den")).recipients, 2);
  });

  test("makes a connection a member though the announcement of it is lost", async (t) => {
    const { proxy, a, b } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "den");
    const bob = await enter(t, b.url, "bob", "den");
    await enter(t, a.url, "cleo", "lobby");
    proxy.hold("subscriber");
    const joined = ann.ask("join", "lobby");
    // More changes than a room keeps, from when ann is a member.
    await until(async () => assert.equal((await bob.ask("join", "lobby")).members, 3));
    for (let n = 0; n < 70; n++) {
      await bob.ask("leave", "lobby");
      await bob.ask("join", "lobby");
    }
    proxy.cut("subscriber");
    proxy.release("subscriber");
    assert.deepEqual((await joined).rooms, ["den", "lobby"]);
    assert.equal((await ann.ask("chat", "hello", "lobby")).recipients, 3);
  });

  test("acks messages though it receives nothing from Redis any more", async (t) => {
    const { proxy, a } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "lobby");
    proxy.hold("subscriber");
    assert.equal((await ann.ask("chat", "hello")).recipients, 1);
    proxy.cut("subscriber");
  });

  test("has the right members when Redis comes back with older data", async (t) => {
    const redis = await startRedis(t);
    const options = { redis: redis.url, nodeTimeoutMs: 1_000, presenceGraceMs: 0 };
    const [a, b] = await Promise.all([startServer(t, options), startServer(t, options)]);
    const ann = await enter(t, a.url, "ann", "lobby");
    const bob = await enter(t, b.url, "bob", "lobby");
    redis.keep();
    await enter(t, b.url, "cleo", "lobby");
    await bob.ask("leave", "lobby");
    await redis.rollBack();
    await until(async () => {
      const { users } = await ann.ask("who", "lobby");
      assert.deepEqual(users.map(({ userId }: { userId: string }) => userId).toSorted(), ["ann", "cleo"]);
      assert.equal((await ann.ask("chat", "hello")).recipients, 2);
    });
  });

  test("shares nothing with nodes on another database of the same Redis", async (t) => {
    const redis = await startRedis(t);
    const ann = await enter(t, (await startServer(t, { redis: `${redis.url}/1` })).url, "ann", "lobby");
    const bob = await enter(t, (await startServer(t, { redis: `${redis.url}/2` })).url, "bob", "lobby");
    await ann.ask("publish", "lobby", 1, { transient: true });
    await ann.ask("chat", "of ann");
    await bob.ask("chat", "of bob");
    assert.deepEqual(ann.texts, ["connected!", "<= ann join lobby", "", "<= of ann"]);
    assert.deepEqual(bob.texts, ["connected!", "<= bob join lobby", "<= of bob"]);
  });
});
