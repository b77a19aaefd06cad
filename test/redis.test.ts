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
});
