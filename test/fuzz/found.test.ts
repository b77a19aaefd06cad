import assert from "node:assert/strict";
import { once } from "node:events";
import { get } from "node:http";
import { connect as openTcp, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { connect, enter } from "../support/client.ts";
import { frame, opcodes } from "../support/frames.ts";
import { enginePath, upgradeRequest } from "../support/http.ts";
import { engineUrl } from "../support/raw.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/until.ts";

/*
 * What the fuzzer has found, reduced to the few packets that trigger each finding. An uncaught exception
 * fails the test in which it is thrown.
 */

/**
 * Starts a server and tracks its open connections. Those still open after the test would keep it from
 * closing.
 */
async function startCounted(t: TestContext) {
  const open = new Set<Socket>();
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  const prepare = ({ server }: FastifyInstance) => {
    server.on("connection", (socket) => open.add(socket.on("close", () => open.delete(socket))));
  };
  return { ...(await startServer(t, {}, { prepare })), open };
}

/** The number of connections that are still open two seconds after their clients left. */
async function leftOf(open: Set<Socket>): Promise<number> {
  for (const deadline = Date.now() + 2_000; open.size > 0 && Date.now() < deadline; ) await sleep(10);
  return open.size;
}

test("an Engine.IO 3 client that connects to a namespace twice at once is disconnected and leaves no member behind", async (t) => {
  const { url, app } = await startServer(t);
  const opened = await (await fetch(engineUrl(url, "polling", "b64=1&room=lobby", 3))).text();
  const [, sid] = opened.match(/"sid":"([^"]+)"/) ?? [];
  const session = engineUrl(url, "polling", `b64=1&sid=${sid}`, 3);
  await fetch(session, { method: "POST", body: "8:40/chat,8:40/chat," });
  await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 0));
  const ann = await enter(t, `${url}/chat`, "ann", "lobby");
  assert.equal((await ann.ask("join", "lobby")).members, 1);
});

for (const path of ["/", "/elsewhere"]) {
  for (const protocol of ["websocket", "h2c"]) {
    test(`a declined upgrade of ${path} to ${protocol} that more bytes follow leaves no connection open`, async (t) => {
      const { port, open } = await startCounted(t);
      const socket = openTcp(port, "127.0.0.1");
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`);
      await once(socket, "data");
      socket.end("more");
      assert.equal(await leftOf(open), 0);
    });
  }
}

test("an upgrade that is declined while an earlier response is pending does not crash the process", async (t) => {
  const { url, port } = await startCounted(t);
  const socket = openTcp(port, "127.0.0.1");
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
  await Promise.race([once(socket, "data"), once(socket, "close")]);
  socket.destroy();
  await connect(t, url);
});

test("a large file requested with an upgrade to h2c arrives complete", async (t) => {
  const { url } = await startCounted(t);
  const file = `${url}/socket.io/socket.io.js`;
  const whole = await (await fetch(file)).arrayBuffer();
  const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABk" };
  const [response] = await once(get(file, { headers }), "response");
  const arrived = await Promise.race([buffer(response), sleep(2_000, undefined, { ref: false })]);
  assert.equal(arrived?.length, whole.byteLength);
});

test("a client that disconnects while a large file is sent instead of an upgrade leaves no connection open", async (t) => {
  const { port, open } = await startCounted(t);
  const socket = openTcp(port, "127.0.0.1").pause();
  socket.write(
    "GET /socket.io/socket.io.js HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
  );
  await once(socket, "readable");
  socket.destroy();
  assert.equal(await leftOf(open), 0);
});

test("thousands of fragments in one write with the upgrade request end only their own connection", async (t) => {
  const { url, port } = await startCounted(t);
  const socket = openTcp(port, "127.0.0.1").on("error", () => {});
  const fragment = frame(opcodes.continuation, "x", { fin: false });
  const opening = frame(opcodes.text, "4", { fin: false });
  socket.write(
    Buffer.concat([upgradeRequest(enginePath(4, "websocket")), opening, ...Array(5_000).fill(fragment)]),
  );
  socket.resume();
  await once(socket, "close");
  await connect(t, url);
});
