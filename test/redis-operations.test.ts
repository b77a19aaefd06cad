import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import Fastify from "fastify";
import { coreOf, roomcast } from "../src/roomcast.ts";
import { connect, enter, next } from "./support/client.ts";
import { Cluster } from "./support/cluster.ts";
import { runCommand } from "./support/command.ts";
import { generations } from "./support/generations.ts";
import { scrape } from "./support/metrics.ts";
import { skipWithout } from "./support/programs.ts";
import { openPolling, openRaw } from "./support/raw.ts";
import { type RedisServer, startRedis } from "./support/redis.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

/** Starts nodes in this process that share a Redis. */
async function startNodes(
  t: TestContext,
): Promise<{ redis: RedisServer; a: RunningServer; b: RunningServer }> {
  const redis = await startRedis(t);
  const [a, b] = await Promise.all([
    startServer(t, { redis: redis.url }),
    startServer(t, { redis: redis.url }),
  ]);
  return { redis, a, b };
}

const idOf = ({ app }: Pick<RunningServer, "app">) => coreOf(app).cluster?.node.id;

/** The metrics of Redis, without their common prefix. */
async function redisMetrics(url: string): Promise<(name: string) => number> {
  const values = await scrape(url);
  return (name) => values.get(`roomcast_redis_${name}`) ?? assert.fail(`no ${name}`);
}

describe("the metrics of a node on Redis", { skip: skipWithout("redis") }, () => {
  test("match what was published and received", async (t) => {
    const { a, b } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "lobby");
    await enter(t, b.url, "bob", "lobby");
    await enter(t, b.url, "cleo", "den");
    await ann.ask("chat", "hello");
    await until(async () => {
      const [ofA, ofB] = [await redisMetrics(a.url), await redisMetrics(b.url)];
      for (const of of [ofA, ofB]) {
        assert.equal(of("up"), 1);
        assert.ok(of("answer_seconds_count") > 2);
        for (const name of ["failures", "reconnects", "resubscriptions", "repairs", "discarded_events"])
          assert.equal(of(`${name}_total`), 0, name);
      }
      assert.deepEqual([ofA("published_messages_total"), ofB("published_messages_total")], [1, 0]);
      // The joins and the user that came online with each, and the message.
      assert.deepEqual([ofA("received_events_total"), ofB("received_events_total")], [5, 5]);
      assert.deepEqual([ofA("subscribed_rooms"), ofB("subscribed_rooms")], [1, 2]);
    });
  });

  test("count what arrives after the last member has left", async (t) => {
    const { a, b } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "lobby");
    const bob = await enter(t, b.url, "bob", "lobby");
    await bob.ask("leave", "lobby");
    await ann.ask("chat", "hello");
    // That bob is offline, and the message.
    await until(async () => assert.equal((await redisMetrics(b.url))("discarded_events_total"), 2));
  });

  test("count a lost connection and its repair", async (t) => {
    const { redis, a } = await startNodes(t);
    await enter(t, a.url, "ann", "lobby");
    await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
    await until(async () => {
      const of = await redisMetrics(a.url);
      const counts = ["reconnects", "resubscriptions", "repairs"].map((name) => of(`${name}_total`));
      assert.deepEqual([of("up"), ...counts], [1, 1, 1, 1]);
    });
  });

  test("show a Redis that does not answer, and what waits for it", async (t) => {
    const { redis, a } = await startNodes(t);
    const ann = await enter(t, a.url, "ann", "lobby");
    await redis.shutDown();
    await until(async () => assert.equal((await redisMetrics(a.url))("up"), 0));
    ann.socket.disconnect();
    await until(async () => assert.ok((await redisMetrics(a.url))("waiting_departures") > 0));
    await redis.start();
    await until(async () => {
      const of = await redisMetrics(a.url);
      assert.deepEqual([of("up"), of("waiting_departures")], [1, 0]);
    });
  });

  test("count the members of a killed node that this node removed", async (t) => {
    const redis = await startRedis(t);
    const cluster = new Cluster(t, "--node-timeout", "500");
    await cluster.start(redis.url, redis.url);
    const [killed, survivor] = cluster.nodes;
    assert.ok(killed && survivor);
    await connect(t, killed.url, { auth: { room: ["lobby", "den"] }, reconnection: false });
    killed.kill();
    await until(async () => assert.equal((await redisMetrics(survivor.url))("removed_members_total"), 2));
  });
});

describe("the id of a node on Redis", { skip: skipWithout("redis") }, () => {
  test("is in the open packet of every transport and protocol version", async (t) => {
    const { a, b } = await startNodes(t);
    assert.notEqual(idOf(a), idOf(b));
    for (const node of [a, b]) {
      for (const eio of [3, 4]) {
        const [open = ""] = (await openRaw(t, node.url, "", eio)).frames;
        assert.equal(JSON.parse(open.slice(1)).node, idOf(node));
      }
      const polled = await (await fetch(`${node.url}/socket.io/?EIO=4&transport=polling`)).text();
      assert.equal(JSON.parse(polled.slice(1)).node, idOf(node));
    }
  });

  for (const { version, connect } of generations) {
    test(`does not disturb socket.io-client ${version}`, async (t) => {
      const { url } = await startServer(t, { redis: (await startRedis(t)).url });
      for (const transport of ["polling", "websocket"]) {
        const socket = connect(url, { forceNew: true, transports: [transport] });
        t.after(() => socket.disconnect());
        const [greeting] = await next(socket, "res");
        assert.equal(greeting.text, "connected!");
      }
    });
  }

  test("is in every line of the log", async (t) => {
    const redis = await startRedis(t);
    const command = runCommand(t, ["--port", "0", "--operations-port", "0", "--redis", redis.url]);
    const ann = await enter(t, await command.ready(), "ann", "lobby");
    ann.socket.disconnect();
    await until(() => assert.match(command.stdout, /"msg":"disconnected"/));
    await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
    await until(() => assert.match(command.stdout, /answers again/));
    command.process.kill("SIGTERM");
    assert.equal(await command.exit(), 0);
    const lines = command.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.ok(lines.length > 7);
    assert.match(lines[0].node, /^\w{10}$/);
    assert.deepEqual(
      lines.filter(({ node }) => node !== lines[0].node),
      [],
    );
  });

  test("is in the lines that the plugin writes to the log of an app", async (t) => {
    const { url } = await startRedis(t);
    const lines: Record<string, unknown>[] = [];
    const app = Fastify({ logger: { stream: { write: (line) => void lines.push(JSON.parse(line)) } } });
    t.after(() => app.close());
    await app.register(roomcast, { redis: url });
    await connect(t, await app.listen({ port: 0, host: "127.0.0.1" }));
    const ours = lines.filter(({ msg }) => /^this node shares|^connected/.test(String(msg)));
    assert.equal(ours.length, 2);
    for (const { node } of ours) assert.equal(node, idOf({ app }));
  });
});

test("without Redis, neither the open packet nor the log names a node", async (t) => {
  const { url, logs } = await startServer(t);
  const [open = ""] = (await openRaw(t, url)).frames;
  const fields = ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"];
  assert.deepEqual(Object.keys(JSON.parse(open.slice(1))), fields);
  await openPolling(url);
  await connect(t, url);
  assert.ok(logs.length > 0);
  for (const line of logs) assert.ok(!("node" in line));
});
