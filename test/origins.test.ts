import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect as openTcp } from "node:net";
import { describe, test } from "node:test";
import { WebSocket } from "ws";
import { originIn } from "../src/limits/admission.ts";
import { client, connect, next } from "./support/client.ts";
import { engineUrl, openPolling } from "./support/raw.ts";
import { startServer } from "./support/server.ts";

/** Sends each kind of request with an origin. @returns the statuses, the allowed origin and the body */
async function ask(url: string, origin: string | undefined) {
  const headers: Record<string, string> = origin === undefined ? {} : { origin };
  const polling = await fetch(engineUrl(url, "polling"), { headers });
  const preflight = await fetch(engineUrl(url, "polling"), {
    method: "OPTIONS",
    headers: { ...headers, "access-control-request-method": "POST" },
  });
  const ws = new WebSocket(engineUrl(url, "websocket"), { headers });
  ws.on("error", () => {});
  const websocket = await Promise.race([
    once(ws, "open").then(() => 101),
    once(ws, "unexpected-response").then(([, response]) => Number(response.statusCode)),
  ]);
  ws.terminate();
  return {
    polling: polling.status,
    websocket,
    preflight: preflight.status,
    shared: polling.headers.get("access-control-allow-origin"),
    body: await polling.text(),
  };
}

test("accepts the server's own page and scripts without an origin", async (t) => {
  const { url } = await startServer(t);
  for (const origin of [undefined, url, url.toUpperCase(), new URL(url).host]) {
    const { polling, websocket } = await ask(url, origin);
    assert.deepEqual([polling, websocket], [200, 101], origin);
  }
});

test("refuses a foreign page on every transport, with a message that names the setting", async (t) => {
  const { url, port, app, logs } = await startServer(t);
  const foreign = [
    "https://evil.example",
    "null",
    "file://",
    `http://127.0.0.1:${port + 1}`,
    `http://localhost:${port}`,
    `127.0.0.1:${port + 1}`,
    `localhost:${port}`,
    "127.0.0.1",
    `//127.0.0.1:${port}`,
    `127.0.0.1:${port}/`,
    `${url}.evil.example`,
    "http://",
    "nonsense",
  ];
  for (const origin of foreign) {
    const { body, ...answers } = await ask(url, origin);
    assert.deepEqual(answers, { polling: 403, websocket: 403, preflight: 403, shared: null }, origin);
    const message = `The origin ${origin} may not connect: --origins does not list it.`;
    assert.deepEqual(JSON.parse(body), { code: "origin_not_allowed", message });
  }
  await app.close();
  const lines = logs.filter(({ code }) => code === "origin_not_allowed");
  const counted = lines.reduce((sum, { repeats }) => sum + Number(repeats ?? 1), 0);
  assert.equal(counted, foreign.length * 3);
});

test("refuses a foreign page that uses an open session", async (t) => {
  const { url } = await startServer(t);
  const session = await openPolling(url);
  const headers = { origin: "https://evil.example" };
  assert.equal((await fetch(session, { headers })).status, 403);
  assert.equal((await fetch(session, { headers, method: "POST", body: "40" })).status, 403);
});

test("accepts a listed origin and lets its page read the responses", async (t) => {
  const origins = ["https://app.example.com", "https://*.example.org:8443", "capacitor://localhost"];
  const { url } = await startServer(t, { origins });
  for (const origin of ["https://app.example.com", "https://a.b.example.org:8443", "capacitor://localhost"]) {
    const { body, ...answers } = await ask(url, origin);
    assert.deepEqual(answers, { polling: 200, websocket: 101, preflight: 204, shared: origin });
  }
  assert.equal((await ask(url, "https://example.org:8443")).polling, 403);
  assert.equal((await ask(url, "http://app.example.com")).polling, 403);
});

test("a response to a listed origin allows only that origin, with the credentials that old clients need", async (t) => {
  const { url } = await startServer(t, { origins: ["*"] });
  const { headers } = await fetch(engineUrl(url, "polling"), { headers: { origin: "null" } });
  assert.equal(headers.get("access-control-allow-origin"), "null");
  assert.equal(headers.get("access-control-allow-credentials"), "true");
  assert.match(String(headers.get("vary")), /origin/i);
});

for (const transport of ["polling", "websocket"]) {
  test(`socket.io-client connects over ${transport} from a listed origin, but not from another`, async (t) => {
    const { url } = await startServer(t, { origins: ["https://app.example.com"] });
    const of = (origin: string) => ({ transports: [transport], extraHeaders: { origin } });
    const ann = await connect(t, url, of("https://app.example.com"));
    assert.equal(await ann.ask("notice", "hello"), "have hello");
    await next(client(t, url, of("https://evil.example")), "connect_error");
  });
}

test("serves the client's files to every page", async (t) => {
  const { url } = await startServer(t);
  const headers = { origin: "https://evil.example" };
  assert.equal((await fetch(`${url}/socket.io/socket.io.min.js`, { headers })).status, 200);
});

test("refuses a page that sends no origin if JSONP or Sec-Fetch-Site reveals it", async (t) => {
  const { url } = await startServer(t);
  const ask = async (query: string, headers: Record<string, string> = {}) =>
    (await fetch(`${url}/socket.io/?transport=polling&${query}`, { headers })).status;
  assert.equal(await ask("EIO=3&j=0"), 403, "JSONP");
  for (const site of ["cross-site", "same-site"])
    assert.equal(await ask("EIO=3", { "sec-fetch-site": site }), 403);
  for (const site of ["same-origin", "none"])
    assert.equal(await ask("EIO=3", { "sec-fetch-site": site }), 200);
  const open = await startServer(t, { origins: ["*"] });
  assert.equal((await fetch(`${open.url}/socket.io/?transport=polling&EIO=3&j=0`)).status, 200);
});

test("a request without a Host header is not from the server's own page", async (t) => {
  const { port } = await startServer(t);
  const socket = openTcp(port, "127.0.0.1");
  socket.write("GET /socket.io/?EIO=4&transport=polling HTTP/1.0\r\nOrigin: null\r\n\r\n");
  const [answer] = await once(socket, "data");
  assert.match(String(answer), /^HTTP\/1\.1 403 /);
});

test("refuses an Origin header with an invalid character", async (t) => {
  const { port } = await startServer(t);
  const asked = request({
    port,
    host: "127.0.0.1",
    path: "/socket.io/?EIO=4&transport=polling",
  });
  asked.setHeader("origin", "https://évil.example");
  asked.end();
  const [response] = await once(asked, "response");
  assert.equal(response.statusCode, 403);
  response.resume();
});

describe("a list of origins", () => {
  const cases: [allowed: string, origin: string, isIn: boolean][] = [
    ["https://example.com", "https://example.com", true],
    ["https://example.com", "https://EXAMPLE.com", true],
    ["https://example.com", "https://example.com:8443", false],
    ["https://*.example.com", "https://a.example.com", true],
    ["https://*.example.com", "https://a.b.example.com", true],
    ["https://*.example.com", "https://example.com", false],
    ["https://*.example.com", "https://.example.com", false],
    ["https://*.example.com", "https://aexample.com", false],
    ["https://*.example.com", "http://abc.example.com", false],
    ["https://*.example.com", "https://a.example.com.evil.example", false],
    ["*", "null", true],
    ["null", "null", true],
  ];
  for (const [allowed, origin, isIn] of cases) {
    test(`${allowed} ${isIn ? "matches" : "does not match"} ${origin}`, () =>
      assert.equal(originIn([allowed], origin), isIn));
  }
});
