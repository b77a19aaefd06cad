import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect as openTcp, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { WebSocket } from "ws";
import { client, connect, enter, Member, next } from "./support/client.ts";
import { within } from "./support/deferred.ts";
import { connectRaw, engineUrl, openPolling, openRaw } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

const burst = { eventsPerSecond: 20, eventsBurst: 40 };

describe("refuses events beyond the rate and disconnects clients that continue:", () => {
  test("each ack beyond the burst reports the limit and when to retry", async (t) => {
    const { url } = await startServer(t, burst);
    const ann = await connect(t, url);
    const acks = await Promise.all(Array.from({ length: 60 }, () => ann.ask("notice", "x")));
    const refused = acks.filter(({ error }) => error);
    assert.ok(refused.length >= 15 && refused.length <= 20, `${refused.length}`);
    for (const { error } of refused) {
      assert.equal(error.code, "rate_limited");
      assert.ok(error.retryAfterMs >= 1 && error.retryAfterMs <= 50, error.retryAfterMs);
    }
    assert.match(refused[0].error.message, /^One connection may send 20 events a second, and 40 after/);
    const { retryAfterMs } = refused.at(-1).error;
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs));
    assert.equal(await ann.ask("notice", "again"), "have again");
  });

  for (const transports of [["websocket"], ["polling"]]) {
    test(`a flood over ${transports} ends the connection, and its client reconnects`, async (t) => {
      const { url, logs } = await startServer(t, burst);
      const member = new Member(client(t, url, { transports, reconnectionDelay: 10 }));
      await member.hears("connected!");
      const lost = next(member.socket, "disconnect");
      for (let n = 0; n < 200; n++) member.tell("join", `r${n}`);
      const [reason, details] = await lost;
      // The server aborts a POST in flight, which a polling client reports as an error.
      assert.equal(reason, transports[0] === "websocket" ? "transport close" : "transport error");
      if (transports[0] === "websocket") {
        assert.deepEqual([details.context.code, details.context.reason], [1008, "rate limited"]);
      }
      await until(() => assert.equal(member.texts.filter((text) => text === "connected!").length, 2));
      const gone = logs.find(({ msg }) => msg === "disconnected");
      assert.deepEqual(
        [gone?.reason, typeof gone?.seconds, typeof gone?.events],
        ["rate limited", "number", "number"],
      );
    });
  }

  test("an idle connection accumulates no more than one burst", async (t) => {
    const { url } = await startServer(t, { eventsPerSecond: 1_000, eventsBurst: 10 });
    const raw = await connectRaw(t, url);
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (let n = 0; n < 100; n++) raw.send(`42${n}["notice","x"]`);
    await raw.receives(/^43.*rate_limited/);
  });

  test("repeated connects and disconnects count, even without any events", async (t) => {
    const { url, app } = await startServer(t, { eventsPerSecond: 1, eventsBurst: 5 });
    const raw = await openRaw(t, url);
    const answers = () => raw.frames.filter((frame) => /^4[04]/.test(frame));
    for (let n = 1; n <= 50 && raw.ws.readyState === raw.ws.OPEN; n++) {
      raw.send("40");
      await until(() => assert.equal(answers().length === n || raw.ws.readyState !== raw.ws.OPEN, true));
      if (answers().at(-1)?.startsWith("40")) raw.send("41");
      await until(() => assert.equal(app.roomcast.io.of("/").sockets.size, 0));
    }
    await raw.closed();
    assert.match(String(answers().at(-1)), /rate_limited/);
  });

  test("packets other than events end a connection too, while others are served", async (t) => {
    const { url, logs } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const acks = await connectRaw(t, url, "userId=acks");
    for (let n = 0; n < 10_000; n++) acks.ws.send("43[]");
    await acks.closed();
    for (const [eio, packet] of [
      [4, "43[]\x1e"],
      [3, "4:43[]"],
    ] as const) {
      const session = await openPolling(url, "b64=1", eio);
      if (eio === 4) await fetch(session, { method: "POST", body: "40" });
      const start = performance.now();
      await fetch(session, { method: "POST", body: packet.repeat(150_000) }).catch(() => {});
      assert.equal(await ann.ask("notice", "meanwhile"), "have meanwhile");
      assert.ok(performance.now() - start < 1_000, `${performance.now() - start}`);
      assert.equal((await fetch(session)).status, 400);
    }
    const reasons = logs.filter(({ msg }) => msg === "disconnected").map(({ reason }) => reason);
    assert.deepEqual(reasons, ["rate limited", "rate limited", "rate limited"]);
  });

  test("the namespaces of a connection share one rate", async (t) => {
    const { url } = await startServer(t, burst);
    const raw = await openRaw(t, url);
    raw.send("40");
    await raw.receives(/connected!/);
    raw.send("40/chat,");
    await raw.receives(/chat,\["res"/);
    for (let n = 0; n < 30; n++) raw.send(`42${n}["notice","x"]`, `42/chat,${n}["notice","x"]`);
    await raw.receives(/^43.*rate_limited/);
  });

  test("successive connections that flood deliver no more than each one's limit", async (t) => {
    const { url, app } = await startServer(t, burst);
    const ann = await enter(t, url, "ann", "lobby");
    for (let n = 0; n < 5; n++) {
      const raw = await connectRaw(t, url, "room=lobby");
      for (let k = 0; k < 500; k++) raw.send('42["chat","spam"]');
      await raw.closed();
    }
    await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 1));
    assert.ok(ann.texts.filter((text) => text === "<= spam").length <= 5 * 60);
    assert.equal(await ann.ask("notice", "alive"), "have alive");
  });
});

test("refuses a text that is too large for a message but not for a packet", async (t) => {
  const { url } = await startServer(t, { maxTextChars: 100, maxPayloadBytes: 10_000 });
  for (const transports of [["websocket"], ["polling"]]) {
    const ann = await connect(t, `${url}/chat`, { transports });
    for (const event of ["chat", "notice", "msg"]) {
      const { error } = await ann.ask(event, "x".repeat(101));
      assert.equal(error.code, "too_large");
      assert.equal(
        error.message,
        "text: expected a string of at most 100 characters, got a string of length 101.",
      );
    }
    assert.equal(await ann.ask("msg", "x".repeat(100)), `recv ${"x".repeat(100)}`);
  }
});

test("a packet that is too large ends its connection, and the reason is sent and logged", async (t) => {
  const { url, app, logs } = await startServer(t, { maxTextChars: 100, maxPayloadBytes: 10_000 });
  const raw = await connectRaw(t, url);
  raw.send(`42["chat","${"x".repeat(10_000)}"]`);
  const [code] = await once(raw.ws, "close");
  assert.equal(code, 1009);
  const session = await openPolling(url);
  await fetch(session, { method: "POST", body: "40" });
  const response = await fetch(session, { method: "POST", body: `4${"x".repeat(10_000)}` });
  assert.equal(response.status, 413);
  const reasons = () => logs.filter(({ msg }) => msg === "disconnected").map(({ reason }) => reason);
  await until(() => assert.deepEqual(reasons(), ["packet too large", "packet too large"]));
  assert.equal(app.roomcast.io.engine.clientsCount, 0);
  const counted = /roomcast_endings_total\{reason="packet too large"\} 2/;
  assert.match(await app.roomcast.metrics.metrics(), counted);
});

test("attachments that are too large together end their connection, and smaller ones are accepted", async (t) => {
  const { url, app } = await startServer(t, { maxTextChars: 100, maxPayloadBytes: 10_000 });
  const echoed = next(app.roomcast.io.of("/own"), "connection").then(([socket]) => next(socket, "data"));
  const socket = client(t, `${url}/own`);
  (socket as unknown as { emit(...args: unknown[]): void }).emit(
    "data",
    Buffer.alloc(4_000),
    Buffer.alloc(4_000),
  );
  assert.equal((await echoed).length, 2);
  const raw = await connectRaw(t, url);
  const names = [0, 1, 2].map((num) => `{"_placeholder":true,"num":${num}}`);
  for (let n = 0; n < 2; n++) {
    raw.send(`453-["chat",${names}]`, ...Array.from({ length: 3 }, () => Buffer.alloc(3_000)));
    await raw.receives(/bad_payload/);
    raw.frames.length = 0;
  }
  raw.send(`453-["chat",${names}]`, ...Array.from({ length: 3 }, () => Buffer.alloc(4_000)));
  await raw.closed();
});

describe("incomplete input stays small, and input that was read is released:", () => {
  const padding = "{},".repeat(45_000);
  const heads = {
    "a large handshake": `40{"a":[${padding}0]}`,
    "a large packet with pending attachments": `451-["chat",{"_placeholder":true,"num":0},${padding}0]`,
  };
  for (const [title, head] of Object.entries(heads)) {
    test(`${title} ends its connection`, async (t) => {
      const { url } = await startServer(t);
      const raw = await openRaw(t, url);
      raw.send("40");
      await raw.receives(/connected!/);
      raw.send(head.replace("40{", "40/chat,{"));
      // Long before the ping timeout.
      await within("the end of the connection", raw.closed());
    });
  }

  test("a handshake is released once it was read", async (t) => {
    const { url, app } = await startServer(t);
    await connect(t, url, { auth: { room: "lobby", extra: Array(1_000).fill({}) } });
    const [socket] = app.roomcast.io.of("/").sockets.values();
    assert.deepEqual(socket?.handshake.auth, {});
  });

  test("accepts a POST that arrives byte by byte", async (t) => {
    const { url } = await startServer(t);
    const session = await openPolling(url);
    await fetch(session, { method: "POST", body: "40" });
    const asked = request(session, { method: "POST" });
    for (const byte of '421["notice","éé"]\x1e422["notice","b"]') asked.write(byte);
    asked.end();
    const [response] = await once(asked, "response");
    assert.equal(String(await once(response, "data")), "ok");
    assert.match(await (await fetch(session)).text(), /431\["have éé"\].*432\["have b"\]/);
  });

  test("POSTs that arrive byte by byte take little memory", async (t) => {
    const { url, app } = await startServer(t);
    const sessions = await Promise.all(Array.from({ length: 10 }, () => openPolling(url, "", 3)));
    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    let heard = 0;
    app.server.prependListener("request", (asked) =>
      asked.on("data", (chunk: Buffer) => (heard += chunk.length)),
    );
    for (const session of sessions) {
      const { port, pathname, search } = new URL(session);
      const socket = openTcp(Number(port), "127.0.0.1").on("error", () => {});
      t.after(() => socket.destroy());
      socket.write(
        `POST ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n`,
      );
      socket.write("1\r\nx\r\n".repeat(100_000));
    }
    await until(() => assert.equal(heard, 1_000_000));
    const grown = process.memoryUsage().rss - before;
    assert.ok(grown < 150e6, `${grown}`);
  });
});

/** Tries to open a session over both transports. @returns the status, Retry-After and body of each refusal */
async function knock(url: string, headers: Record<string, string> = {}) {
  const polling = await fetch(engineUrl(url, "polling"), { headers });
  const ws = new WebSocket(engineUrl(url, "websocket"), { headers });
  ws.on("error", () => {});
  const [, response] = await once(ws, "unexpected-response");
  const body = JSON.parse(String(await once(response, "data")));
  return [
    { status: polling.status, retryAfter: polling.headers.get("retry-after"), ...(await polling.json()) },
    { status: response.statusCode, retryAfter: response.headers["retry-after"] ?? null, ...body },
  ];
}

describe("admission", () => {
  test("limits the number of connections", async (t) => {
    const { url, app } = await startServer(t, { maxConnections: 3 });
    const held = await Promise.all(Array.from({ length: 3 }, () => openRaw(t, url)));
    for (const answer of await knock(url)) {
      assert.deepEqual(answer, {
        status: 503,
        retryAfter: "5",
        code: "server_full",
        message: "The server has 3 connections, as many as --max-connections allows.",
      });
    }
    assert.equal((await fetch(`${url}/readyz`)).status, 503);
    held[0]?.ws.close();
    await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 2));
    assert.equal((await fetch(`${url}/readyz`)).status, 200);
    await connect(t, url);
  });

  test("limits the connections of one address and admits a refused client when there is room", async (t) => {
    const { url, logs, app } = await startServer(t, { maxConnectionsPerAddress: 2 });
    const held = await Promise.all([openRaw(t, url), openRaw(t, url)]);
    for (const { status, code, message } of await knock(url)) {
      assert.deepEqual([status, code], [429, "too_many_connections"]);
      assert.match(
        message,
        /^One address may have 2 connections: see --max-connections-per-address, and --trust-proxy/,
      );
    }
    const socket = client(t, url, { reconnectionDelay: 20 });
    await next(socket, "connect_error");
    held[0]?.ws.close();
    await next(socket, "connect");
    socket.disconnect();
    held[1]?.ws.close();
    await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 0));
    await Promise.all([openRaw(t, url), openRaw(t, url)]);
    const refusal = logs.find(({ code }) => code === "too_many_connections");
    assert.deepEqual([refusal?.level, refusal?.address], [30, "127.0.0.1"]);
  });

  test("pipelined requests open no more sessions than the limit", async (t) => {
    const { app, port } = await startServer(t, { maxConnectionsPerAddress: 5 });
    const socket = openTcp(port, "127.0.0.1");
    t.after(() => socket.destroy());
    const ask = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n";
    socket.write(ask.repeat(17));
    let answers = "";
    socket.on("data", (data) => {
      answers += data;
    });
    await once(socket, "close");
    const statuses = [...answers.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ["200", "200", "200", "200", "200", "429"]);
    assert.equal(app.roomcast.io.engine.clientsCount, 5);
  });

  test("limits connections that send nothing", async (t) => {
    const { app, port } = await startServer(t, { maxConnections: 1 });
    let dropped = 0;
    app.server.on("drop", () => dropped++);
    for (let n = 0; n < 110; n++) {
      const socket = openTcp(port, "127.0.0.1").on("error", () => {});
      t.after(() => socket.destroy());
    }
    await until(() => assert.equal(dropped, 8));
  });

  test("only a request with a session id bypasses the limit", async (t) => {
    const { url } = await startServer(t, { maxConnections: 1 });
    await openRaw(t, url);
    for (const query of ["xsid=1", "sid=", "a=sid=1", "sid=1&sid="]) {
      assert.equal((await fetch(engineUrl(url, "polling", query))).status, 503, query);
    }
    assert.equal((await fetch(engineUrl(url, "polling", "sid=1"))).status, 400);
  });

  test("uses X-Forwarded-For only from trusted proxies", async (t) => {
    const from = (address: string) => ({ "x-forwarded-for": address });
    const trusting = await startServer(t, { maxConnectionsPerAddress: 1, trustProxy: ["loopback"] });
    const open = async (url: string, address: string) => {
      const ws = new WebSocket(engineUrl(url, "websocket"), { headers: from(address) });
      t.after(() => ws.terminate());
      ws.on("error", () => {});
      return Promise.race([
        once(ws, "open").then(() => "in"),
        once(ws, "unexpected-response").then(() => "refused"),
      ]);
    };
    assert.equal(await open(trusting.url, "203.0.113.1"), "in");
    assert.equal(await open(trusting.url, "203.0.113.2"), "in");
    assert.equal(await open(trusting.url, "203.0.113.1"), "refused");
    assert.equal(
      await open(trusting.url, "198.51.100.9, 203.0.113.1"),
      "refused",
      "an address forged by the client is ignored",
    );
    assert.equal(await open(trusting.url, "::ffff:203.0.113.2"), "refused");
    assert.equal(await open(trusting.url, "2001:db8:1:2::1"), "in");
    assert.equal(
      await open(trusting.url, "2001:db8:1:2:ffff::9"),
      "refused",
      "a /64 network counts as one address",
    );
    assert.equal(await open(trusting.url, "2001:db8:1:3::1"), "in");
    assert.equal(
      await open(trusting.url, "203.0.113.1:4711"),
      "refused",
      "the port is not part of the address",
    );
    assert.equal(await open(trusting.url, "[2001:db8:1:3::1]:4711"), "refused");
    const wary = await startServer(t, { maxConnectionsPerAddress: 1 });
    assert.equal(await open(wary.url, "203.0.113.1"), "in");
    assert.equal(await open(wary.url, "203.0.113.2"), "refused");
  });
});

describe("closes and counts a connection that makes no progress:", () => {
  const ways: Record<string, (server: RunningServer, t: TestContext) => void> = {
    "one that sends nothing": ({ port }) => void openTcp(port, "127.0.0.1").on("error", () => {}),
    "one that sends half a request": ({ port }) =>
      void openTcp(port, "127.0.0.1")
        .on("error", () => {})
        .write("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"),
    "one that sends single bytes slowly": ({ port }, t) => {
      const socket = openTcp(port, "127.0.0.1").on("error", () => {});
      socket.write("GET /socket.io/ HTTP/1.1\r\nX: ");
      const drip = setInterval(() => socket.writable && socket.write("x"), 10);
      t.after(() => clearInterval(drip));
    },
    "one that opens a WebSocket and joins no namespace": ({ url }, t) => void openRaw(t, url),
    "one that opens a polling session and joins no namespace": ({ url }) => void openPolling(url),
  };
  for (const [title, come] of Object.entries(ways)) {
    test(title, async (t) => {
      const server = await startServer(t, { handshakeTimeoutMs: 200 });
      const arrived = once(server.app.server, "connection");
      come(server, t);
      const [connection] = await arrived;
      // A polling client keeps its TCP connection, which it may use for another session.
      if (!title.includes("polling")) await new Promise((resolve) => connection.on("close", resolve));
      const counted = /roomcast_refusals_total\{code="handshake_timeout"\} 1\n/;
      while (!counted.test(await server.app.roomcast.metrics.metrics())) await setImmediate();
      assert.equal(server.app.roomcast.io.engine.clientsCount, 0);
    });
  }
});

test("refuses a compressed frame without inflating it, because no compression was negotiated", async (t) => {
  const { url } = await startServer(t);
  const raw = await connectRaw(t, url);
  assert.equal(raw.ws.extensions, "");
  const tcp = (raw.ws as unknown as { _socket: Socket })._socket;
  // FIN, RSV1 and text; masked with 0; 4 bytes (RFC 7692, 6).
  tcp.write(Buffer.from([0xc1, 0x84, 0, 0, 0, 0, 0x4a, 0x4c, 0x04, 0x00]));
  const [code] = await once(raw.ws, "close");
  assert.equal(code, 1002);
});

describe("invalid frames end the sender's connection:", () => {
  const frames: Record<string, { bytes: number[]; code: number }> = {
    "text that is not UTF-8": { bytes: [0x81, 0x84, 0, 0, 0, 0, 0x34, 0x32, 0xff, 0xfe], code: 1007 },
    "a length of exabytes": {
      bytes: [0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0],
      code: 1009,
    },
    "a length over the limit": {
      bytes: [0x81, 0xff, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x41, 0, 0, 0, 0],
      code: 1009,
    },
    "no mask": { bytes: [0x81, 0x01, 0x33], code: 1002 },
    "an undefined opcode": { bytes: [0x83, 0x80, 0, 0, 0, 0], code: 1002 },
    "a continuation without a first fragment": { bytes: [0x80, 0x80, 0, 0, 0, 0], code: 1002 },
    "a ping of 126 bytes": { bytes: [0x89, 0xfe, 0, 126, 0, 0, 0, 0], code: 1002 },
  };
  for (const [title, { bytes, code }] of Object.entries(frames)) {
    test(title, async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url, "ann", "lobby");
      const raw = await connectRaw(t, url, "userId=mallory&room=lobby");
      const closed = once(raw.ws, "close");
      (raw.ws as unknown as { _socket: Socket })._socket.write(Buffer.from(bytes));
      assert.equal((await closed)[0], code);
      await ann.hears("disconnected!");
    });
  }

  test("fragments that are too large together", async (t) => {
    const { url } = await startServer(t, { maxPayloadBytes: 20_000 });
    const raw = await connectRaw(t, url);
    const closed = once(raw.ws, "close");
    for (let n = 0; n < 21; n++) raw.ws.send("x".repeat(1_000), { fin: false });
    assert.equal((await closed)[0], 1009);
  });

  test("but valid fragments make up a packet", async (t) => {
    const { url } = await startServer(t);
    const raw = await connectRaw(t, url);
    for (const part of ["4", "27[", '"notice"', ',"whole']) raw.ws.send(part, { fin: false });
    raw.ws.send('"]', { fin: true });
    assert.equal(await raw.receives(/^437/), '437["have whole"]');
  });
});
