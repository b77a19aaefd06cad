import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent } from "node:http";
import { after, before, describe, type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { type ClientOptions, client, connect, type Member, next } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { type RunningProxy, startHaproxy, startNginx } from "../support/proxy.ts";
import { engineUrl } from "../support/raw.ts";
import { until } from "../support/until.ts";
import { type RunningNode, startNode } from "./node.ts";

/*
 * Runs the command behind the proxies of the deployment documentation, with the configuration files shown
 * there. The tests change only ports and timeouts.
 */

type StartProxy = (t: TestContext, node: RunningNode, timeout?: string) => Promise<RunningProxy>;

/**
 * Starts each proxy in front of one node, with the timeout after which the proxy drops silent connections.
 */
const proxies: Record<"nginx" | "haproxy", StartProxy> = {
  nginx: (t, { address }, timeout = "60s") =>
    startNginx(t, { "127.0.0.1:8000": address, " 60s": ` ${timeout}` }),
  haproxy: (t, { address }, timeout = "60s") =>
    startHaproxy(t, { "127.0.0.1:8001": address, " 60s": ` ${timeout}` }),
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
