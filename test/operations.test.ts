import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import { client, connect, enter, next } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { scrape } from "./support/metrics.ts";
import { connectRaw, openPolling } from "./support/raw.ts";
import { buildServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

const paths = ["/livez", "/readyz", "/healthz", "/metrics"];

test("answers callers on this machine", async (t) => {
  const { url } = await startServer(t);
  for (const path of paths) assert.equal((await fetch(url + path)).status, 200, path);
  assert.deepEqual(await (await fetch(`${url}/readyz`)).json(), { status: "ok" });
});

test("answers callers on this machine over IPv6", async (t) => {
  const app = await buildServer();
  t.after(() => app.close());
  const url = await app.listen({ port: 0, host: "::1" }).catch(() => undefined);
  if (!url) return t.skip("IPv6 is not available");
  assert.equal((await fetch(`${url}/readyz`)).status, 200);
});

test("refuses callers behind a proxy on this machine", async (t) => {
  const { url } = await startServer(t);
  const names = [
    ...[
      "forwarded",
      "via",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
      "x-forwarded",
      "forwarded-for",
    ],
    ...[
      "x-real-ip",
      "cf-connecting-ip",
      "cf-connecting-ipv6",
      "cf-ray",
      "true-client-ip",
      "x-client-ip",
      "client-ip",
    ],
    ...["x-cluster-client-ip", "fastly-client-ip", "x-envoy-external-address", "x-original-forwarded-for"],
    ...[
      "x-appengine-user-ip",
      "x-azure-clientip",
      "x-amzn-trace-id",
      "x-proxyuser-ip",
      "cdn-loop",
      "x-remote-addr",
    ],
    ...[
      "x-original-host",
      "wl-proxy-client-ip",
      "proxy-client-ip",
      "x-varnish",
      "x-original-url",
      "x-remote-ip",
    ],
  ];
  for (const name of names) {
    const response = await fetch(`${url}/metrics`, { headers: { [name]: "127.0.0.1" } });
    assert.equal(response.status, 403, name);
    assert.match((await response.json()).message, /--operations-port/);
  }
  for (const path of paths) {
    assert.equal((await fetch(url + path, { headers: { via: "1.1 a" } })).status, 403, path);
  }
});

test("refuses a browser that shows a page of another site", async (t) => {
  const { url, port } = await startServer(t);
  const ask = async (headers: Record<string, string>) => {
    const [response] = await once(get(`${url}/metrics`, { headers }), "response");
    response.resume();
    return response.statusCode;
  };
  for (const host of [
    "rebound.example",
    `rebound.example:${port}`,
    "127.0.0.1.example",
    "localhost.example",
    "10.0.0.1",
  ])
    assert.equal(await ask({ host }), 403, host);
  for (const host of [`localhost:${port}`, "LOCALHOST", "127.0.0.1", "127.8.8.8:80", "[::1]:80"])
    assert.equal(await ask({ host }), 200, host);
  for (const site of ["cross-site", "same-site"])
    assert.equal(await ask({ "sec-fetch-site": site }), 403, site);
  for (const site of ["same-origin", "none"]) assert.equal(await ask({ "sec-fetch-site": site }), 200, site);
  for (const origin of ["https://evil.example", "null", "http://localhost:1"])
    assert.equal(await ask({ origin }), 403, origin);
  assert.equal(await ask({ origin: url }), 200);
});

const [foreign] = Object.values(networkInterfaces())
  .flat()
  .filter((address) => address?.family === "IPv4" && !address.internal);

test("refuses callers from other machines", {
  skip: !foreign && "there is no network interface but loopback",
}, async (t) => {
  const app = await buildServer();
  t.after(() => app.close());
  await app.listen({ port: 0, host: "0.0.0.0" });
  const { port } = app.server.address() as { port: number };
  const response = await fetch(`http://${foreign?.address}:${port}/metrics`);
  assert.equal(response.status, 403);
});

test("serves every caller on --operations-port, and nobody on the main port", async (t) => {
  const command = runCommand(t, ["--port", "0", "--operations-port", "0"]);
  const url = await command.ready();
  const [, apart] = command.stdout.match(/metrics and health are at (http:\/\/[^\s"]+)/) ?? [];
  for (const path of paths) {
    assert.equal(
      (await fetch(apart + path, { headers: { "x-forwarded-for": "192.0.2.1" } })).status,
      200,
      path,
    );
    assert.equal((await fetch(url + path)).status, 404, path);
  }
});

test("reports an operations port in use in one sentence", async (t) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.after(() => other.close());
  const { port } = other.address() as { port: number };
  const command = runCommand(t, ["--port", "0", "--operations-port", String(port)]);
  assert.equal(await command.exit(), 1);
  assert.match(command.stderr, new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is in use`));
});

test("the metrics match what clients did", async (t) => {
  const { url } = await startServer(t, { maxTextChars: 50, eventsPerSecond: 1, eventsBurst: 10 });
  const ann = await enter(t, url, "ann", "lobby");
  const bob = await connect(t, `${url}/chat`, { transports: ["polling"], query: { room: "den" } });
  await ann.ask("chat", "hello");
  await ann.ask("chat", "hello", "nowhere");
  await ann.ask("chat", "x".repeat(51));
  await ann.ask("shout", "x");
  await ann.ask("__proto__", "x");
  for (let n = 0; n < 6; n++) await ann.ask("join", "lobby");
  await bob.ask("msg", "hello");
  await bob.ask("bye");
  const turnedAway = client(t, url, { auth: { userId: 7 } });
  await next(turnedAway, "connect_error");
  await fetch(`${url}/socket.io/?EIO=4&transport=polling`, { headers: { origin: "https://evil.example" } });
  const values = await scrape(url);
  const expected: Record<string, number> = {
    'roomcast_connections{namespace="/",transport="websocket",protocol="4"}': 1,
    'roomcast_connects_total{namespace="/"}': 1,
    'roomcast_connects_total{namespace="/chat"}': 1,
    'roomcast_disconnects_total{namespace="/chat",reason="bye"}': 1,
    'roomcast_endings_total{reason="bye"}': 1,
    'roomcast_rooms{namespace="/"}': 1,
    'roomcast_rooms{namespace="/chat"}': 0,
    'roomcast_events_total{namespace="/",event="chat",outcome="ok"}': 1,
    'roomcast_events_total{namespace="/",event="chat",outcome="not_in_room"}': 1,
    'roomcast_events_total{namespace="/",event="chat",outcome="too_large"}': 1,
    'roomcast_events_total{namespace="/",event="unknown",outcome="unknown_event"}': 2,
    'roomcast_events_total{namespace="/",event="join",outcome="ok"}': 5,
    'roomcast_events_total{namespace="/",event="join",outcome="rate_limited"}': 1,
    'roomcast_events_total{namespace="/chat",event="msg",outcome="ok"}': 1,
    'roomcast_events_total{namespace="/chat",event="bye",outcome="ok"}': 1,
    'roomcast_deliveries_total{namespace="/"}': 2,
    'roomcast_deliveries_total{namespace="/chat"}': 1,
    'roomcast_refusals_total{code="bad_payload"}': 1,
    'roomcast_refusals_total{code="origin_not_allowed"}': 1,
    roomcast_handler_seconds_count: 13,
    roomcast_send_queue_bytes: 0,
    roomcast_send_queue_worst_bytes: 0,
    roomcast_inbound_bytes: 0,
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(values.get(name), value, name);
  for (const name of ["received_bytes_total", "sent_bytes_total"]) {
    assert.equal(Number(values.get(`roomcast_${name}`)) > 0, true, name);
  }
  assert.ok(Number(values.get("process_resident_memory_bytes")) > 1e7);
});

test("event names chosen by clients do not become labels", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, url, "ann", "lobby");
  for (let n = 0; n < 100; n++) await ann.ask(`event ${n}`, "x");
  const { size } = await scrape(url);
  await ann.ask("event x", "x");
  assert.equal((await scrape(url)).size, size);
});

test("the metrics show what is queued for a client that does not read", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, url, "ann", "lobby");
  const session = await openPolling(url);
  await fetch(session, { method: "POST", body: '40{"room":"lobby"}' });
  await ann.hears("connected!");
  for (let n = 0; n < 10; n++) await ann.ask("chat", "x".repeat(10_000));
  await until(() => assert.equal(ann.texts.length, 13));
  const values = await scrape(url);
  const worst = Number(values.get("roomcast_send_queue_worst_bytes"));
  assert.ok(worst > 100_000 && worst < 120_000, String(worst));
  assert.equal(values.get("roomcast_send_queue_bytes"), worst);
});

test("a late event loop makes the server not ready, and it recovers", async (t) => {
  const { url, app } = await startServer(t);
  // Blocks the event loop, but leaves the processor to other tests.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
  await until(() => assert.equal(app.roomcast.health.problem, "the event loop is late"));
  const response = await fetch(`${url}/readyz`);
  if (response.status === 503) {
    assert.deepEqual(await response.json(), { status: "not ready", reason: "the event loop is late" });
  }
  await until(() => assert.equal(app.roomcast.health.problem, undefined));
});

test("logs one line per connect, disconnect and refusal, and none per message", async (t) => {
  const { url, logs } = await startServer(t);
  const before = logs.length;
  const ann = await enter(t, url, "ann", "lobby");
  const id = ann.socket.id;
  for (let n = 0; n < 5; n++) await ann.ask("chat", "hello");
  ann.socket.disconnect();
  await until(() => assert.equal(logs.length - before, 2));
  const [came, went] = logs.slice(before);
  assert.deepEqual(
    [
      came?.level,
      came?.msg,
      came?.id,
      came?.userId,
      came?.namespace,
      came?.transport,
      came?.protocol,
      came?.address,
    ],
    [30, "connected", id, "ann", "/", "websocket", 4, "127.0.0.1"],
  );
  assert.deepEqual(
    [went?.level, went?.msg, went?.id, went?.userId, went?.namespace, went?.reason, went?.events],
    [30, "disconnected", id, "ann", "/", "client namespace disconnect", 5],
  );
  assert.equal(typeof went?.seconds, "number");
  await next(client(t, url, { auth: { room: 7 } }), "connect_error");
  const refused = logs.at(-1);
  assert.deepEqual([refused?.level, refused?.msg, refused?.code], [30, "handshake refused", "bad_payload"]);
});

test("logs refused events at the debug level", async (t) => {
  const command = runCommand(t, ["--port", "0", "--log-level", "debug"]);
  const raw = await connectRaw(t, await command.ready(), "userId=ann");
  raw.send('421["leave","lobby"]');
  await raw.receives(/^431/);
  await until(() =>
    assert.equal(
      /"userId":"ann".*"event":"leave","code":"not_in_room","msg":"event refused"/.test(command.stdout),
      true,
    ),
  );
});

test("during the drain delay the server is live but not ready and still accepts clients", async (t) => {
  const { url, app } = await startServer(t, { drainDelayMs: 200 });
  const drained = app.roomcast.drain();
  const [ready] = await once(get(`${url}/readyz`), "response");
  assert.equal(ready.statusCode, 503);
  ready.resume();
  assert.equal((await fetch(`${url}/livez`)).status, 200);
  await connect(t, url);
  await drained;
});
