import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import Fastify from "fastify";
import { roomcast } from "../src/roomcast.ts";
import { scrape } from "./support/metrics.ts";
import { openPolling, openRaw } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/until.ts";
import { Wire } from "./support/wire.ts";

const sidOf = (frame: string): string => frame.match(/"sid":"([^"]+)"/)?.[1] ?? "";
const post = (target: string, body: string): [string, ...string[]] => [
  `POST ${target}`,
  `Content-Length: ${body.length}`,
  "",
  body,
];

describe("every request is answered or its connection closed:", () => {
  for (const eio of [3, 4]) {
    test(`plain requests to a session that uses a WebSocket, Engine.IO ${eio}`, async (t) => {
      const { url, port } = await startServer(t);
      const raw = await openRaw(t, url, "", eio);
      const session = `/socket.io/?EIO=${eio}&transport=websocket&sid=${sidOf(raw.frames[0] ?? "")}`;
      const foreign = `/socket.io/?EIO=${eio}&transport=websocket&sid=none`;
      const wire = new Wire(t, port);
      const methods = ["GET", "POST", "OPTIONS", "HEAD", "PUT", "DELETE"];
      wire.send(...[session, foreign].flatMap((target) => methods.map((method) => `${method} ${target}`)));
      wire.send("/livez");
      await until(() => assert.deepEqual(wire.statuses, [...Array(12).fill(400), 200]));
      assert.match(wire.received, /\{"code":3,"message":"Bad request"\}/);
      assert.match(wire.received, /\{"code":1,"message":"Session ID unknown"\}/);
    });
  }

  test("requests that Engine.IO does not support", async (t) => {
    const { url, port } = await startServer(t);
    const raw = await openRaw(t, url);
    const upgraded = `/socket.io/?EIO=4&transport=polling&sid=${sidOf(raw.frames[0] ?? "")}`;
    const { pathname, search } = new URL(await openPolling(url));
    const own = pathname + search;
    const cases: [request: string | [string, ...string[]], statuses: number[]][] = [
      [upgraded, [400]],
      [post(upgraded, "40"), [400]],
      [`PUT ${own}`, [500]],
      [`HEAD ${own}`, [500]],
      [`OPTIONS ${own}`, [500]],
      ["/socket.io/?EIO=4&transport=webtransport", [400]],
      ["/socket.io/?EIO=4&transport=websocket", [400]],
      ["/socket.io/?EIO=4&transport=flash", [400]],
      [post("/socket.io/?EIO=4&transport=polling", "40"), [400]],
      [post(own, "40").toSpliced(1, 0, "Expect: 100-continue") as [string, ...string[]], [100, 200]],
      [["/livez", "Expect: something"], [417]],
      [["/livez", "Connection: Upgrade", "Upgrade: h2c"], [200]],
      [[`${upgraded}`, "Connection: Upgrade", "Upgrade: h2c"], [400]],
      ["CONNECT x:80", []],
    ];
    for (const [request, statuses] of cases) {
      const wire = new Wire(t, port);
      wire.send(request);
      if (statuses.length === 0) await wire.closed;
      await until(() => assert.deepEqual(wire.statuses, statuses, String(request)));
    }
  });

  test("a POST behind a poll on the same connection, once the poll is answered", async (t) => {
    const { url, port } = await startServer(t, { pingIntervalMs: 100 });
    const { pathname, search } = new URL(await openPolling(url));
    const wire = new Wire(t, port);
    wire.send(pathname + search, post(pathname + search, "40"));
    await until(() => assert.match(wire.received, /\r\n\r\n2HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok$/s));
  });
});

describe("limits the unanswered requests of a connection:", () => {
  test("closes a connection with 17 waiting requests, counts each such connection and logs once", async (t) => {
    const { url, port, logs } = await startServer(t);
    for (let n = 0; n < 2; n++) {
      const { pathname, search } = new URL(await openPolling(url));
      const wire = new Wire(t, port);
      wire.send(pathname + search, ...Array(17).fill("/livez"));
      await wire.closed;
      assert.deepEqual(wire.statuses, []);
    }
    const series = await scrape(url);
    assert.equal(series.get('roomcast_tcp_closed_total{reason="pipelined"}'), 2);
    assert.equal(logs.filter(({ reason }) => reason === "pipelined").length, 1);
  });

  test("answers 16 waiting requests in order", async (t) => {
    const { url, port } = await startServer(t, { pingIntervalMs: 100 });
    const { pathname, search } = new URL(await openPolling(url));
    const wire = new Wire(t, port);
    wire.send(pathname + search, ...Array(15).fill("/livez"), "/none");
    await until(() => assert.deepEqual(wire.statuses, [...Array(16).fill(200), 404]));
  });

  test("closes the connection rather than let an upgrade overtake a request", async (t) => {
    const { url, port } = await startServer(t);
    const wanted = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    for (const upgrade of [wanted, ["Connection: Upgrade", "Upgrade: h2c"]]) {
      const { pathname, search } = new URL(await openPolling(url));
      const wire = new Wire(t, port);
      wire.send(pathname + search, ["/socket.io/?EIO=4&transport=websocket", ...upgrade]);
      await wire.closed;
      assert.deepEqual(wire.statuses, []);
    }
  });

  test("handles no request after a response that closes the connection", async (t) => {
    const { port, app, logs } = await startServer(t);
    const wire = new Wire(t, port);
    const handshake = "/socket.io/?EIO=4&transport=polling";
    wire.send([handshake, "Origin: https://evil.example"], handshake);
    await wire.closed;
    assert.deepEqual(wire.statuses, [403]);
    assert.equal(app.roomcast.io.engine.clientsCount, 0);
    assert.equal(
      logs.some(({ reason }) => reason === "pipelined"),
      false,
    );
  });
});

/** The number of served files that this process has open. */
function openFiles(): number {
  const pathOf = (descriptor: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return "";
    }
  };
  return readdirSync("/proc/self/fd").filter((fd) => /client-dist|\/asset\//.test(pathOf(fd))).length;
}

describe("closes files with the connections that requested them:", () => {
  const bundle = "/socket.io/socket.io.js";
  const pipelines: Record<string, [requests: string[], fatal: boolean]> = {
    "one file": [[bundle], false],
    "16 files": [Array(16).fill(bundle), false],
    "1,000 files": [Array(1_000).fill(bundle), true],
    "HEAD requests and pages": [[`HEAD ${bundle}`, "/", bundle, "HEAD /", "/page.js"], false],
  };
  for (const [title, [requests]] of Object.entries(pipelines)) {
    test(`${title}, reset before the first byte or later`, async (t) => {
      const { url, port } = await startServer(t);
      for (let n = 0; n < 20; n++) {
        const wire = new Wire(t, port);
        await once(wire.tcp, "connect");
        wire.send(...requests);
        if (n % 2) await Promise.race([once(wire.tcp, "data"), wire.closed]);
        wire.tcp.resetAndDestroy();
      }
      await until(() => assert.equal(openFiles(), 0));
      assert.equal((await fetch(url + bundle)).status, 200);
    });
  }

  test("disconnects a client that does not read a file", async (t) => {
    const { url, port, app } = await startServer(t, { sendQueueAgeMs: 200 });
    const wire = new Wire(t, port);
    wire.tcp.pause();
    // More than the kernel buffers for one connection.
    const timer = setInterval(() => wire.send(...Array(8).fill(`${bundle}.map`)), 20);
    t.after(() => clearInterval(timer));
    const [accepted] = (await once(app.server, "connection")) as [Socket];
    await once(accepted, "close");
    await until(() => assert.equal(openFiles(), 0));
    assert.equal((await fetch(url + bundle)).status, 200);
  });

  test("still supports ranges and conditional requests", async (t) => {
    const { url, port } = await startServer(t);
    const part = await fetch(url + bundle, { headers: { range: "bytes=0-9" } });
    assert.deepEqual([part.status, (await part.text()).length], [206, 10]);
    const whole = await fetch(url + bundle);
    const etag = String(whole.headers.get("etag"));
    await whole.text();
    const wire = new Wire(t, port);
    wire.send([bundle, `If-None-Match: ${etag}`], "/livez");
    await until(() => assert.deepEqual(wire.statuses, [304, 200]));
    assert.equal((await fetch(`${url}/socket.io/none.js`)).status, 404);
  });
});

test("limits the unanswered requests to an application's own routes too", async (t) => {
  const app = Fastify({ forceCloseConnections: true });
  t.after(() => app.close());
  let handled = 0;
  app.get("/slow", () => {
    handled++;
    return new Promise(() => {});
  });
  app.register(roomcast);
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as { port: number };
  const wire = new Wire(t, port);
  wire.send(...Array(1_000).fill("/slow"));
  await wire.closed;
  assert.equal(handled, 1);
});
