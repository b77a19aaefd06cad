import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent } from "node:http";
import { after, before, describe, type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { type ClientOptions, client, connect, type Member, next } from "../support/client.ts";
import { type Command, runCommand } from "../support/command.ts";
import { skipWithout } from "../support/programs.ts";
import { freePort, type RunningProxy, startHaproxy, startNginx } from "../support/proxy.ts";
import { engineUrl } from "../support/raw.ts";
import { until } from "../support/until.ts";

/*
 * Runs the command behind the proxies of the deployment documentation, with the configuration files shown
 * there. The tests change only ports, timeouts and the list of nodes.
 */

/** A server process that trusts a proxy on this machine. */
class RunningNode {
  readonly command: Command;
  readonly address: string;

  constructor(command: Command, url: string) {
    this.command = command;
    this.address = new URL(url).host;
  }

  /** The node's log lines with this message. */
  lines(msg: string): Record<string, unknown>[] {
    const lines = this.command.stdout.split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line)).filter((line) => line.msg === msg);
  }
}

async function startNode(t: TestContext, ...args: string[]): Promise<RunningNode> {
  const command = runCommand(t, ["--port", "0", "--trust-proxy", "loopback", ...args]);
  return new RunningNode(command, await command.ready());
}

type StartProxy = (t: TestContext, node: RunningNode, timeout?: string) => Promise<RunningProxy>;

const secondServer = "  server two 127.0.0.1:8002 port 9002\n";

/**
 * Starts each proxy in front of one node, with the timeout after which the proxy drops silent connections.
 */
const proxies: Record<"nginx" | "haproxy", StartProxy> = {
  nginx: (t, { address }, timeout = "60s") =>
    startNginx(t, { "127.0.0.1:8000": address, " 60s": ` ${timeout}` }),
  haproxy: (t, { address }, timeout = "60s") =>
    startHaproxy(t, {
      "127.0.0.1:8001 port 9001": `${address} port ${address.split(":")[1]}`,
      [secondServer]: "",
      " 60s": ` ${timeout}`,
    }),
};

/** The transports that a client is given, and the one that it ends up with. */
const ways: [title: string, transports: string[], last: string][] = [
  ["polling", ["polling"], "polling"],
  ["WebSocket", ["websocket"], "websocket"],
  ["polling with an upgrade", ["polling", "websocket"], "websocket"],
];

/** Options for a client that connects from another address of this machine. */
const from = (localAddress: string): ClientOptions => ({
  agent: new Agent({ localAddress, keepAlive: true }) as never,
});

const transportOf = ({ socket }: Member) => socket.io.engine.transport.name;

/** The status of the response to a WebSocket from a page of this origin. */
async function statusOfWebSocket(url: string, origin: string): Promise<number> {
  const ws = new WebSocket(engineUrl(url, "websocket"), { origin });
  ws.on("error", () => {});
  const [answer] = await Promise.race([
    once(ws, "upgrade"),
    once(ws, "unexpected-response").then(([, response]) => [response]),
  ]);
  ws.terminate();
  return answer.statusCode;
}

/** The status of the response to a poll from a page of this origin. */
const statusOfPoll = async (url: string, origin: string) =>
  (await fetch(engineUrl(url, "polling"), { headers: { origin } })).status;

/** Resolves after `count` heartbeats from the server; rejects if the connection is lost first. */
function heartbeats(member: Member, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    member.socket.on("disconnect", (reason) => reject(new Error(`disconnected: ${reason}`)));
    member.socket.io.on("ping", () => --count === 0 && resolve());
  });
}

for (const [name, startProxy] of Object.entries(proxies)) {
  describe(`behind ${name}`, { skip: skipWithout(name as keyof typeof proxies) }, () => {
    const ends: (() => void)[] = [];
    let node: RunningNode;
    let url: string;
    before(async () => {
      const suite = { after: (end: () => void) => void ends.push(end) } as TestContext;
      node = await startNode(suite);
      ({ url } = await startProxy(suite, node));
    });
    after(() => {
      for (const end of ends) end();
    });

    for (const [title, transports, last] of ways) {
      test(`${title} carries events both ways`, async (t) => {
        const ann = await connect(t, url, { transports, query: { userId: "ann", room: title } });
        const bob = await connect(t, url, { transports, query: { userId: "bob", room: title } });
        await until(() => assert.deepEqual([transportOf(ann), transportOf(bob)], [last, last]));
        assert.equal((await ann.ask("chat", "hello")).recipients, 2);
        assert.equal((await bob.hears("<= hello")).userId, "ann");
        const long = "é".repeat(16_000);
        assert.equal(await bob.ask("notice", long), `have ${long}`);
      });
    }

    test("logs the client's address instead of the proxy's or a forged one", async (t) => {
      const earlier = node.lines("connected").length;
      const extraHeaders = { "X-Forwarded-For": "192.0.2.66", Forwarded: "for=192.0.2.66" };
      for (const [, transports] of ways) {
        await connect(t, url, { transports, ...from("127.0.0.2") });
        await connect(t, url, { transports, ...from("127.0.0.3"), extraHeaders });
      }
      const expected = ways.flatMap(() => ["127.0.0.2", "127.0.0.3"]);
      await until(() => {
        const addresses = node.lines("connected").map(({ address }) => address);
        assert.deepEqual(addresses.slice(earlier), expected);
      });
    });

    test("accepts the server's own page and refuses pages of other origins with 403", async () => {
      assert.equal(await statusOfPoll(url, url), 200);
      assert.equal(await statusOfWebSocket(url, url), 101);
      for (const origin of ["https://elsewhere.example", `http://${node.address}`, "null"]) {
        assert.equal(await statusOfPoll(url, origin), 403, origin);
        assert.equal(await statusOfWebSocket(url, origin), 403, origin);
      }
    });

    test("serves the page but not the operations endpoints", async () => {
      assert.match(await (await fetch(url)).text(), /<title>/);
      for (const path of ["/metrics", "/livez", "/readyz", "/healthz"]) {
        assert.equal((await fetch(url + path)).status, 403, path);
        assert.equal((await fetch(`http://${node.address}${path}`)).status, 200, path);
      }
    });

    describe("an idle client", { concurrency: 2 }, () => {
      for (const transport of ["polling", "websocket"]) {
        test(`over ${transport} stays connected while heartbeats arrive in time`, async (t) => {
          // The same ratio as between 25 s and 60 s.
          const { url } = await startProxy(t, await startNode(t, "--ping-interval", "500"), "1200ms");
          const ann = await connect(t, url, { transports: [transport], reconnection: false });
          await heartbeats(ann, 6);
          await ann.settled();
        });

        test(`over ${transport} is disconnected if heartbeats are too rare`, async (t) => {
          const { url } = await startProxy(t, await startNode(t), "300ms");
          const socket = client(t, url, { transports: [transport], reconnection: false });
          const [reason] = await next(socket, "disconnect");
          assert.match(reason, /^transport (close|error)$/);
        });
      }
    });
  });
}

/** Connects polling clients; the test derives the address and the room of each from its number. */
const crowd = (t: TestContext, url: string, address: (n: number) => string, room: (n: number) => string) =>
  Promise.all(
    Array.from({ length: 16 }, (_, n) =>
      connect(t, url, { transports: ["polling"], ...from(address(n)), query: { room: room(n) } }),
    ),
  );

/** The number of recipients that the server reports to each member for a message. */
async function recipients(members: Member[]): Promise<number[]> {
  const receipts = await Promise.all(members.map((member) => member.ask("chat", "who hears me?")));
  return receipts.map((receipt) => receipt.recipients);
}

/** The number of clients that have connected to each node. */
const shares = (nodes: RunningNode[]) => nodes.map((node) => node.lines("connected").length);

/**
 * Asserts that both nodes have clients and that each member reaches all members on its node and no others.
 */
async function assertTwoRooms(members: Member[], nodes: RunningNode[]): Promise<void> {
  await until(() =>
    assert.equal(
      shares(nodes).reduce((sum, share) => sum + share),
      members.length,
    ),
  );
  const [one = 0, two = 0] = shares(nodes);
  assert.notEqual(one * two, 0, `all clients connected to one node: ${one}, ${two}`);
  const expected = [...Array(one).fill(one), ...Array(two).fill(two)].toSorted((a, b) => a - b);
  assert.deepEqual(
    (await recipients(members)).toSorted((a, b) => a - b),
    expected,
  );
}

const twoNodes = (t: TestContext, ...args: string[]) =>
  Promise.all([startNode(t, ...args), startNode(t, ...args)]);

describe("two nodes behind nginx", { skip: skipWithout("nginx") }, () => {
  const startBefore = async (t: TestContext, balance: string) => {
    const nodes = await twoNodes(t);
    const servers = nodes.map(({ address }) => `  server ${address};\n`).join("");
    const { url } = await startNginx(t, { "  server 127.0.0.1:8000;\n": `  ${balance};\n${servers}` });
    return { url, nodes };
  };

  test("ip_hash keeps the polls of a network on one node, and nodes do not share rooms", async (t) => {
    const { url, nodes } = await startBefore(t, "ip_hash");
    const members = await crowd(
      t,
      url,
      (n) => `127.0.${n}.2`,
      () => "lobby",
    );
    await assertTwoRooms(members, nodes);
  });

  test("hashing by room puts all members of a room on one node", async (t) => {
    const { url, nodes } = await startBefore(t, "hash $arg_room");
    const members = await crowd(
      t,
      url,
      (n) => `127.0.0.${n + 2}`,
      (n) => `room ${n % 8}`,
    );
    assert.deepEqual(await recipients(members), Array(16).fill(2));
    await until(() => assert.equal(shares(nodes).includes(0), false));
  });
});

describe("two nodes behind haproxy", { skip: skipWithout("haproxy") }, () => {
  const startBefore = async (t: TestContext, edits = {}, ...args: string[]) => {
    const ports = [await freePort(), await freePort()] as const;
    const [one, two] = (await Promise.all(
      ports.map((port) => startNode(t, "--operations-port", String(port), ...args)),
    )) as [RunningNode, RunningNode];
    const proxy = await startHaproxy(t, {
      "127.0.0.1:8001 port 9001": `${one.address} port ${ports[0]}`,
      "127.0.0.1:8002 port 9002": `${two.address} port ${ports[1]}`,
      ...edits,
    });
    return { proxy, url: proxy.url, nodes: { one, two } };
  };

  test("keeps the polls of an address on one node, and nodes do not share rooms", async (t) => {
    const { url, nodes } = await startBefore(t);
    const members = await crowd(
      t,
      url,
      (n) => `127.0.0.${n + 2}`,
      () => "lobby",
    );
    await assertTwoRooms(members, [nodes.one, nodes.two]);
  });

  test("balancing by room puts all members of a room on one node", async (t) => {
    const { url, nodes } = await startBefore(t, { "balance source": "balance url_param room" });
    const members = await crowd(
      t,
      url,
      (n) => `127.0.0.${n + 2}`,
      (n) => `room ${n % 8}`,
    );
    assert.deepEqual(await recipients(members), Array(16).fill(2));
    await until(() => assert.equal(shares([nodes.one, nodes.two]).includes(0), false));
  });

  test("takes a stopping node out of service first, then its clients move to the other node", async (t) => {
    const { proxy, url, nodes } = await startBefore(
      t,
      { "inter 1s": "inter 100ms" },
      "--drain-delay",
      "3000",
    );
    const ann = await connect(t, url, from("127.0.0.2"));
    await until(() => assert.equal(shares([nodes.one, nodes.two]).includes(1), true));
    const [stopping, other] = shares([nodes.one])[0] ? (["one", "two"] as const) : (["two", "one"] as const);
    nodes[stopping].command.process.kill("SIGTERM");
    await until(() => assert.match(proxy.said, new RegExp(`roomcast/${stopping} is DOWN.*503`)));
    assert.ok(ann.socket.connected);
    assert.equal(await ann.ask("notice", "still here"), "have still here");
    await connect(t, url, from("127.0.0.2"));
    await until(() => assert.deepEqual([shares([nodes[stopping]]), shares([nodes[other]])], [[1], [1]]));
    const [reason] = await next(ann.socket, "disconnect");
    assert.equal(reason, "transport close");
    await next(ann.socket, "connect");
    assert.equal(await nodes[stopping].command.exit(), 0);
    await until(() => assert.deepEqual(shares([nodes[other]]), [2]));
  });
});
