import assert from "node:assert/strict";
import dns from "node:dns";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as openTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import fastifyWebsocket from "@fastify/websocket";
import Fastify, { type FastifyInstance } from "fastify";
import { WebSocket } from "ws";
import { type RoomcastOptions, roomcast } from "../src/roomcast.ts";
import { connect } from "./support/client.ts";
import { scrape } from "./support/metrics.ts";
import { engineUrl, openPolling, openRaw, RawSocket } from "./support/raw.ts";
import { buildServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";
import { Wire } from "./support/wire.ts";

/** Lets an app that a test has built listen. @returns its address */
async function listen(t: TestContext, app: FastifyInstance): Promise<string> {
  t.after(() => app.close());
  return app.listen({ port: 0, host: "127.0.0.1" });
}

const upgradeHeaders = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==",
];

describe("admission reads the query as Engine.IO does:", () => {
  const jsonp = ["j=0", "%6a=0", "%6A=0", "j=&b64=1", "j", "j=0&j=1", "x=1&%6a", "j=0#", "a;b=1&j=0"];
  const keys = Array.from({ length: 998 }, (_, n) => `k${n}`).join("&");
  const harmless = ["J=0", "+j=0", "j%00=0", "x=%26j=0", "x=1;j=0", "j[]=0", "#&j=0", `x=%3Fj=0`];
  for (const eio of [3, 4]) {
    test(`refuses JSONP in any spelling, Engine.IO ${eio}`, async (t) => {
      const { port } = await startServer(t);
      const wires = [...jsonp, `j=0&${keys}`].map((query) => {
        const wire = new Wire(t, port);
        wire.send(`/socket.io/?EIO=${eio}&transport=polling&${query}`);
        return { query, wire };
      });
      for (const { query, wire } of wires) {
        await until(() => assert.deepEqual(wire.statuses, [403], query));
        assert.match(wire.received, /origin_not_allowed/);
      }
    });

    test(`accepts queries that Engine.IO does not take for JSONP, Engine.IO ${eio}`, async (t) => {
      const { port } = await startServer(t);
      // Both Engine.IO and admission read only the first 1,000 keys.
      for (const query of [...harmless, `${keys}&j=0`]) {
        const wire = new Wire(t, port);
        wire.send(`/socket.io/?EIO=${eio}&transport=polling&b64=1&${query}`);
        await until(() => assert.match(wire.received, /^HTTP\/1\.1 200.*"sid"/s, query));
        assert.doesNotMatch(wire.received, /___eio/);
      }
    });
  }

  test("recognizes a session id under any spelling of its key", async (t) => {
    const { url } = await startServer(t, { maxConnections: 1 });
    const { searchParams } = new URL(await openPolling(url));
    const sid = searchParams.get("sid");
    for (const query of [`%73id=${sid}`, `s%69d=${sid}`, `sid=x&sid=${sid}`, `sid=x&%73id=${sid}`])
      assert.equal(
        (await fetch(engineUrl(url, "polling", query), { method: "POST", body: "3" })).status,
        200,
      );
    for (const query of ["sid[]=1", "+sid=1", "__proto__=1&__proto__=2", "sid=1&%73id="])
      assert.equal((await fetch(engineUrl(url, "polling", query))).status, 503, query);
    for (const query of ["sid=__proto__", "sid=constructor", "%73id=1"])
      assert.equal((await fetch(engineUrl(url, "polling", query))).status, 400, query);
  });

  test("refuses JSONP on a session that was opened without it", async (t) => {
    const { url } = await startServer(t);
    const session = await openPolling(url, "", 3);
    assert.equal((await fetch(`${session}&%6a=0`)).status, 403);
    const answer = await fetch(`${session}&%6a=0`, {
      method: "POST",
      body: "d=1:2",
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.equal(answer.status, 403);
  });
});

describe("upgrades are checked before the WebSocket handshake:", () => {
  for (const eio of [3, 4]) {
    test(`refuses those of Engine.IO ${eio} sessions that use a WebSocket, are upgrading or do not exist`, async (t) => {
      const { url, port } = await startServer(t);
      const sid = (address: string) => new URL(address).searchParams.get("sid");
      const raw = await openRaw(t, url, "", eio);
      const [, websocket] = raw.frames[0]?.match(/"sid":"([^"]+)"/) ?? [];
      const upgrading = sid(await openPolling(url, "", eio));
      const probe = new RawSocket(new WebSocket(engineUrl(url, "websocket", `sid=${upgrading}`, eio)));
      t.after(() => probe.ws.terminate());
      await once(probe.ws, "open");
      const targets = [
        `transport=websocket&sid=${websocket}`,
        `transport=websocket&sid=${upgrading}`,
        "transport=websocket&sid=none",
        "transport=polling",
        `transport=polling&sid=${upgrading}`,
        "transport=webtransport",
      ];
      for (const target of targets) {
        const wire = new Wire(t, port);
        wire.send([`/socket.io/?EIO=${eio}&${target}`, ...upgradeHeaders]);
        await wire.closed;
        assert.deepEqual(wire.statuses, [400], target);
      }
      probe.send("2probe");
      await probe.receives(/^3probe$/);
      raw.send("40");
      await raw.receives(/connected!/);
    });
  }

  test("abandons one that does not complete and keeps its session", async (t) => {
    const { url } = await startServer(t, { handshakeTimeoutMs: 300 });
    const session = await openPolling(url);
    await fetch(session, { method: "POST", body: "40" });
    const probe = new RawSocket(new WebSocket(session.replace("http", "ws").replace("polling", "websocket")));
    await probe.closed();
    assert.match(await (await fetch(session)).text(), /connected!/);
    const second = new RawSocket(
      new WebSocket(session.replace("http", "ws").replace("polling", "websocket")),
    );
    second.ws.once("open", () => second.send("2probe"));
    await second.receives(/^3probe$/);
    second.ws.terminate();
  });
});

describe("limits the TCP connections of one address:", () => {
  test("closes those beyond the limit at once, counts them and logs once", async (t) => {
    const { url, port, app, logs } = await startServer(t, { maxConnectionsPerAddress: 1 });
    const sockets = Array.from({ length: 112 }, () => openTcp(port, "127.0.0.1").on("error", () => {}));
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    await until(() => assert.equal(sockets.filter(({ closed }) => closed).length, 10));
    for (const socket of sockets) socket.destroy();
    await until(async () => assert.equal(await promisify(app.server.getConnections.bind(app.server))(), 0));
    const series = await scrape(url);
    assert.equal(series.get('roomcast_tcp_closed_total{reason="too many connections"}'), 10);
    const lines = logs.filter(({ reason }) => reason === "too many connections");
    assert.deepEqual(
      lines.map(({ address }) => address),
      ["127.0.0.1"],
    );
  });

  test("exempts those of a trusted proxy", async (t) => {
    const { port, app } = await startServer(t, { maxConnectionsPerAddress: 1, trustProxy: ["127.0.0.0/8"] });
    let open = 0;
    app.server.on("connection", () => open++);
    for (let n = 0; n < 110; n++) {
      const socket = openTcp(port, "127.0.0.1").on("error", () => {});
      t.after(() => socket.destroy());
    }
    await until(() => assert.equal(open, 110));
    const wire = new Wire(t, port);
    wire.send("/livez");
    await until(() => assert.deepEqual(wire.statuses, [200]));
  });
});

describe("on a Unix socket", () => {
  async function listenOnPath(t: TestContext, options: RoomcastOptions): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "roomcast-"));
    const path = join(folder, "socket");
    const app = Fastify({ forceCloseConnections: true });
    app.register(roomcast, options);
    await app.listen({ path });
    t.after(async () => {
      await app.close();
      rmSync(folder, { recursive: true });
    });
    return path;
  }

  async function knock(t: TestContext, path: string, ...forwarded: string[]): Promise<number[]> {
    const statuses: number[] = [];
    for (const address of forwarded) {
      const wire = new Wire(t, path);
      wire.send(["/socket.io/?EIO=4&transport=polling", `X-Forwarded-For: ${address}`]);
      await until(() => assert.equal(wire.statuses.length, 1));
      statuses.push(...wire.statuses);
    }
    return statuses;
  }

  const clients = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8::1"];

  test("trustProxy loopback trusts the proxy at the other end", async (t) => {
    const path = await listenOnPath(t, { trustProxy: ["loopback"], maxConnectionsPerAddress: 1 });
    assert.deepEqual(await knock(t, path, ...clients), [200, 429, 200, 200]);
  });

  test("without it all clients share one address, and TCP connections are not limited by address", async (t) => {
    const path = await listenOnPath(t, { trustProxy: ["192.0.2.9"], maxConnectionsPerAddress: 1 });
    assert.deepEqual(await knock(t, path, ...clients), [200, 429, 429, 429]);
    for (let n = 0; n < 110; n++) new Wire(t, path);
    const wire = new Wire(t, path);
    wire.send("/socket.io/socket.io.js");
    await until(() => assert.deepEqual(wire.statuses, [200]));
  });
});

test("applies the limits on every address that it listens on for localhost", async (t) => {
  // Simulates a machine where localhost resolves to two addresses.
  const { lookup } = dns;
  const both = ["127.0.0.1", "127.0.0.2"].map((address) => ({ address, family: 4 }));
  t.mock.method(dns, "lookup", ((
    name: string,
    options: dns.LookupOptions,
    done: (...args: unknown[]) => void,
  ) =>
    name === "localhost"
      ? setImmediate(done, null, ...(options.all ? [both] : ["127.0.0.1", 4]))
      : lookup(name, options, done as never)) as typeof lookup);
  const own = Fastify({ forceCloseConnections: true });
  own.register(roomcast, { maxConnectionsPerAddress: 1 });
  const apps: FastifyInstance[] = [own, await buildServer({ maxConnectionsPerAddress: 1 })];
  for (const app of apps) {
    t.after(() => app.close());
    await app.listen({ port: 0, host: "localhost" });
    const { port } = app.server.address() as { port: number };
    const answers = await Promise.all(
      both.map(({ address }) =>
        fetch(engineUrl(`http://${address}:${port}`, "polling"))
          .then(({ status }) => status)
          .catch(() => "not listening"),
      ),
    );
    assert.deepEqual(answers, [200, "not listening"]);
    assert.equal((await fetch(engineUrl(`http://127.0.0.1:${port}`, "polling"))).status, 429);
  }
});

describe("alongside other WebSocket listeners", () => {
  const echo = async (app: FastifyInstance) => {
    app.get("/echo", { websocket: true }, (socket) => {
      socket.on("message", (data) => socket.send(`echo ${data}`));
    });
  };
  const orders: Record<string, (app: FastifyInstance) => void> = {
    "@fastify/websocket before roomcast": (app) => {
      app.register(fastifyWebsocket);
      app.register(roomcast);
      app.register(echo);
    },
    "@fastify/websocket after roomcast": (app) => {
      app.register(roomcast);
      app.register(fastifyWebsocket);
      app.register(echo);
    },
    "an upgrade listener added before and one added after": (app) => {
      const answer = (socket: NodeJS.WritableStream, path = "") => {
        assert.doesNotMatch(path, /^\/socket\.io\//);
        if (path === "/echo" && socket.writable) socket.end("HTTP/1.1 418 Teapot\r\n\r\n");
      };
      app.server.on("upgrade", ({ url }, socket) => answer(socket, url));
      app.register(roomcast);
      app.addHook("onListen", async () => {
        app.server.prependListener("upgrade", ({ url }, socket) => answer(socket, url));
      });
    },
  };
  for (const [title, register] of Object.entries(orders)) {
    test(`${title}: each handles its own requests`, async (t) => {
      const app = Fastify({ forceCloseConnections: true });
      register(app);
      const url = await listen(t, app);
      for (const transports of [["websocket"], ["polling", "websocket"]]) {
        const ann = await connect(t, url, { transports });
        assert.equal(await ann.ask("notice", "hello"), "have hello");
        await until(() => assert.equal(ann.socket.io.engine.transport.name, "websocket"));
        assert.equal(await ann.ask("notice", "still"), "have still");
      }
      const refused = new WebSocket(engineUrl(url, "websocket"), { origin: "https://evil.example" });
      refused.on("error", () => {});
      const [, response] = await once(refused, "unexpected-response");
      assert.equal(response.statusCode, 403);
      const wire = new Wire(t, Number(new URL(url).port));
      wire.send(["/socket.io/?EIO=4&transport=polling", "Connection: Upgrade", "Upgrade: h2c"]);
      await until(() => assert.match(wire.received, /^HTTP\/1\.1 200.*"sid"/s));
      const other = new RawSocket(new WebSocket(`${url.replace("http", "ws")}/echo`));
      if (title.startsWith("@")) {
        other.ws.once("open", () => other.send("hello"));
        assert.equal(await other.receives(/./), "echo hello");
        other.ws.close();
      } else assert.equal((await once(other.ws, "unexpected-response"))[1].statusCode, 418);
    });
  }
});

test("registering roomcast in an HTTP/2 app fails with one sentence", async () => {
  const apps = [
    Fastify({ http2: true }),
    Fastify({ http2: true, https: {} }),
    Fastify({ http2: true, https: { allowHTTP1: true } }),
  ] as unknown as FastifyInstance[];
  for (const app of apps) {
    app.register(roomcast);
    await assert.rejects(async () => app.ready(), {
      message: "roomcast needs an app of HTTP/1.1: register it in a Fastify app without http2.",
    });
  }
});

describe("with a prefix, the engine and its files stay at the root:", () => {
  const scopes: Record<string, (app: FastifyInstance) => void> = {
    "the plugin's own prefix": (app) => app.register(roomcast, { prefix: "/v1" }),
    "the prefix of a scope": (app) =>
      app.register(async (scope) => void scope.register(roomcast, { maxRooms: 3 }), { prefix: "/v1" }),
  };
  for (const [title, register] of Object.entries(scopes)) {
    test(title, async (t) => {
      const app = Fastify({ forceCloseConnections: true });
      register(app);
      const url = await listen(t, app);
      const ann = await connect(t, url);
      assert.equal(await ann.ask("notice", "hello"), "have hello");
      for (const [path, status] of Object.entries({
        "/socket.io/socket.io.js": 200,
        "/socket.io/socket.io.esm.min.js": 200,
        "/v1/socket.io/socket.io.js": 404,
        "/socket.io/none.js": 404,
      }))
        assert.equal((await fetch(url + path)).status, status, path);
    });
  }
});
