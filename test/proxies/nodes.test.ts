import assert from "node:assert/strict";
import { Agent } from "node:http";
import { describe, type TestContext, test } from "node:test";
import { io } from "socket.io-client";
import { type RoomClient, roomClient } from "../../src/client.ts";
import type { ChatEvents } from "../../src/protocol.ts";
import { type ClientOptions, connect, next } from "../support/client.ts";
import { skipWithout, skipWithoutSignals } from "../support/programs.ts";
import { freePort, type RunningProxy, startHaproxy, startNginx } from "../support/proxy.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { until } from "../support/until.ts";
import { type RunningNode, startNode } from "./node.ts";

/*
 * Runs three nodes and a Redis behind the proxies of the deployment documentation, with the configuration files shown
 * there. The tests change only ports, and how often HAProxy checks the nodes.
 */

/** A node whose health checks have a port of their own. */
interface Node extends RunningNode {
  readonly operationsPort: number;
}

interface Setup {
  redis: RedisServer;
  nodes: Node[];
  proxy: RunningProxy;
  url: string;
}

type StartProxy = (t: TestContext, nodes: readonly Node[]) => Promise<RunningProxy>;

const proxies: Record<"nginx" | "haproxy", StartProxy> = {
  nginx: (t, nodes) => {
    const edits = nodes.map(({ address }, n) => [`127.0.0.1:800${n + 1}`, address]);
    return startNginx(t, Object.fromEntries(edits), "nginx-nodes.conf");
  },
  haproxy: (t, nodes) => {
    const edits = nodes.flatMap(({ address, operationsPort }, n) => [
      [`127.0.0.1:800${n + 1}`, address],
      [`port 900${n + 1}`, `port ${operationsPort}`],
    ]);
    return startHaproxy(t, { "inter 1s": "inter 100ms", ...Object.fromEntries(edits) }, "haproxy-nodes.cfg");
  },
};

async function startNodes(t: TestContext, startProxy: StartProxy, ...args: string[]): Promise<Setup> {
  const redis = await startRedis(t);
  const nodes = await Promise.all(
    ["one", "two", "three"].map(async () => {
      const operationsPort = await freePort();
      const operations = ["--operations-port", String(operationsPort)];
      const timeout = ["--node-timeout", "1000"];
      const node = await startNode(t, "--redis", redis.url, ...operations, ...timeout, ...args);
      return Object.assign(node, { operationsPort });
    }),
  );
  const proxy = await startProxy(t, nodes);
  return { redis, nodes, proxy, url: proxy.url };
}

/**
 * Options for a client that connects from another address of this machine, and reconnects soon. Its connections are not
 * kept alive: if one that is used again is closed, the client's XMLHttpRequest for Node tries again, but never ends the
 * second request.
 */
const from = (localAddress: string, transports: string[]): ClientOptions => ({
  agent: new Agent({ localAddress }) as never,
  transports,
  reconnectionDelay: 50,
  reconnectionDelayMax: 100,
});

/** The transports of the nth client. */
const transportsOf = (n: number) => [["polling"], ["websocket"], ["polling", "websocket"]][n % 3] as string[];

/** The number of clients that have connected to each node. */
const shares = (nodes: readonly Node[]) => nodes.map((node) => node.lines("connected").length);

/** A client with the helper, the texts that it has received, and the verdicts of its replays. */
interface Talker {
  readonly client: RoomClient<ChatEvents>;
  readonly texts: string[];
  readonly verdicts: string[];
}

/** Connects the nth client to the lobby. */
async function talker(t: TestContext, url: string, n: number): Promise<Talker> {
  const options = from(`127.0.0.${n + 2}`, transportsOf(n));
  const socket = io(url, { ...options, forceNew: true, auth: { userId: `user ${n}`, room: "lobby" } });
  t.after(() => socket.disconnect());
  const client = roomClient<ChatEvents>(socket);
  const [texts, verdicts]: [string[], string[]] = [[], []];
  client.socket.on("res", ({ offset, text }) => void (offset && texts.push(text)));
  client.socket.on("sync", ({ status }) => void verdicts.push(status));
  await next(client.socket, "sync");
  return { client, texts, verdicts };
}

/** Connects clients of every transport to the lobby, so that each node has some. */
const talkers = (t: TestContext, url: string, count = 18) =>
  Promise.all(Array.from({ length: count }, (_, n) => talker(t, url, n)));

/** Lets each client send a message at a time until they are to stop. @returns what stops them */
function talk(clients: readonly Talker[]): () => Promise<string[]> {
  const sent: string[] = [];
  let isOver = false;
  const loops = clients.map(async ({ client }, n) => {
    for (let count = 0; !isOver; count++) {
      await client.chat(`${n} ${count}`, "lobby");
      sent.push(`<= ${n} ${count}`);
    }
  });
  return async () => {
    isOver = true;
    await Promise.all(loops);
    return sent;
  };
}

/** Asserts that all clients have received these messages once and in the same order. */
async function assertNothingMissed(clients: readonly Talker[], sent: readonly string[]): Promise<void> {
  await until(() =>
    assert.deepEqual(new Set(clients.map(({ texts }) => texts.length)), new Set([sent.length])),
  );
  const [first] = clients as [Talker];
  assert.deepEqual(first.texts.toSorted(), sent.toSorted());
  for (const { texts, verdicts } of clients) {
    assert.deepEqual(texts, first.texts);
    assert.equal(verdicts.includes("gap"), false);
  }
}

const isStopped = async (node: Node) => assert.equal(await node.command.exit(), 0, node.command.stderr);

for (const [name, startProxy] of Object.entries(proxies)) {
  const skip = skipWithout("redis") || skipWithout(name as keyof typeof proxies) || skipWithoutSignals;
  describe(`three nodes behind ${name}`, { skip }, () => {
    test("serve clients of every transport as one server", async (t) => {
      const { nodes, url } = await startNodes(t, startProxy);
      const clients = await talkers(t, url);
      assert.equal(shares(nodes).includes(0), false, shares(nodes).join());
      const receipts = await Promise.all(clients.map(({ client }, n) => client.chat(`${n}`, "lobby")));
      assert.deepEqual(new Set(receipts.map(({ recipients }) => recipients)), new Set([clients.length]));
      await assertNothingMissed(
        clients,
        clients.map((_, n) => `<= ${n}`),
      );
      assert.equal(
        shares(nodes).reduce((sum, share) => sum + share),
        clients.length,
      );
    });

    test("share the WebSockets of one address", async (t) => {
      const { nodes, url } = await startNodes(t, startProxy);
      for (let n = 0; n < 30; n++) await connect(t, url, from("127.0.0.2", ["websocket"]));
      await until(() => assert.equal(shares(nodes).includes(0), false, shares(nodes).join()));
    });

    test("keep the polls of one address on one node", async (t) => {
      const { nodes, url } = await startNodes(t, startProxy);
      for (let n = 0; n < 6; n++) await connect(t, url, from("127.0.0.2", ["polling"]));
      await until(() => assert.deepEqual(shares(nodes).toSorted(), [0, 0, 6]));
    });

    test("are drained one by one, and no client misses a message", async (t) => {
      const { nodes, url } = await startNodes(
        t,
        startProxy,
        "--history-size",
        "10000",
        "--drain-delay",
        "500",
      );
      const clients = await talkers(t, url);
      const stop = talk(clients);
      for (const node of nodes.slice(0, 2)) {
        node.command.process.kill("SIGTERM");
        await isStopped(node);
        await until(() => assert.equal(clients.filter(({ client }) => !client.socket.connected).length, 0));
      }
      await assertNothingMissed(clients, await stop());
    });

    test("lose one that is killed, and no client misses a message", async (t) => {
      const { nodes, url } = await startNodes(t, startProxy, "--history-size", "10000");
      const clients = await talkers(t, url);
      const stop = talk(clients);
      nodes[0]?.command.process.kill("SIGKILL");
      await until(() =>
        assert.equal(
          clients.some(({ verdicts }) => verdicts.length > 1),
          true,
        ),
      );
      await until(() => assert.equal(clients.filter(({ client }) => !client.socket.connected).length, 0));
      await assertNothingMissed(clients, await stop());
    });

    test("keep their sessions while Redis is away", async (t) => {
      const { redis, nodes, url } = await startNodes(t, startProxy);
      const clients = await talkers(t, url, 6);
      const session = () => fetch(`${url}/socket.io/?EIO=4&transport=polling`).then(({ status }) => status);
      await redis.shutDown();
      await until(async () => assert.equal(await session(), 503));
      for (const { client } of clients) assert.equal(await client.notice("still here"), "have still here");
      await redis.start();
      await until(async () => assert.equal(await session(), 200));
      const receipts = await Promise.all(clients.map(({ client }, n) => client.chat(`${n}`, "lobby")));
      assert.deepEqual(new Set(receipts.map(({ recipients }) => recipients)), new Set([clients.length]));
      assert.equal(
        shares(nodes).reduce((sum, share) => sum + share),
        clients.length,
      );
    });
  });
}

const skip = skipWithout("redis") || skipWithout("haproxy") || skipWithoutSignals;
test("haproxy takes a node that stops out of rotation before its clients leave it", { skip }, async (t) => {
  const { nodes, proxy, url } = await startNodes(t, proxies.haproxy, "--drain-delay", "2000");
  const names = ["one", "two", "three"];
  const polling = await connect(t, url, from("127.0.0.2", ["polling"]));
  await until(() => assert.equal(shares(nodes).includes(1), true));
  const stopping = shares(nodes).indexOf(1);
  const node = nodes[stopping] as Node;
  node.command.process.kill("SIGTERM");
  await until(() => assert.match(proxy.said, new RegExp(`roomcast/${names[stopping]} is DOWN.*503`)));
  // Its clients stay connected, and new ones reach other nodes.
  for (let n = 3; n < 9; n++) await connect(t, url, from(`127.0.0.${n}`, transportsOf(n)));
  assert.equal(shares(nodes)[stopping], 1);
  assert.equal(await polling.ask("notice", "still here"), "have still here");
  assert.equal(polling.socket.connected, true);
  await next(polling.socket, "disconnect");
  await next(polling.socket, "connect");
  await isStopped(node);
});
