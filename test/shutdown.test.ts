import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { Agent, get } from "node:http";
import { connect as openTcp } from "node:net";
import { type TestContext, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { client, connect, enter, next } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { skipWithoutSignals } from "./support/programs.ts";
import { engineUrl, openRaw } from "./support/raw.ts";
import { startServer } from "./support/server.ts";

/** The time from the signal to the exit of the process, in milliseconds; fails unless the exit code is 0. */
async function timeToExit(
  command: ReturnType<typeof runCommand>,
  signal: "SIGINT" | "SIGTERM",
): Promise<number> {
  const start = Date.now();
  command.process.kill(signal);
  assert.equal(await command.exit(), 0, command.stderr);
  return Date.now() - start;
}

/**
 * Sends a request whose body never ends, so that it stays in flight until the server closes the connection.
 */
function hang(t: TestContext, url: string): void {
  const socket = openTcp(Number(new URL(url).port), "127.0.0.1");
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  socket.write(
    "POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
  );
}

for (const [signal, clients] of [
  ["SIGINT", 20],
  ["SIGTERM", 500],
] as const) {
  test(`${signal} disconnects ${clients} clients on both transports within 2 s, with reasons after which they reconnect`, {
    skip: skipWithoutSignals,
  }, async (t) => {
    const command = runCommand(t, ["--port", "0"]);
    const url = await command.ready();
    const options = { query: { room: "lobby" }, reconnection: false };
    const sockets = Array.from({ length: clients }, (_, n) =>
      client(t, url, { ...options, transports: [n % 2 ? "polling" : "websocket"] }),
    );
    await Promise.all(sockets.map((socket) => next(socket, "connect")));
    await once(get(`${url}/healthz`, { agent: new Agent({ keepAlive: true }) }), "response");
    hang(t, url);
    const reasons = sockets.map((socket) => next(socket, "disconnect").then(([reason]) => reason));
    assert.ok((await timeToExit(command, signal)) < 2_000);
    for (const reason of await Promise.all(reasons)) {
      assert.ok(["transport close", "transport error"].includes(reason), reason);
    }
    assert.match(command.stdout, new RegExp(`closing on ${signal}`));
    assert.equal(command.stderr, "");
  });
}

test("an unresponsive client does not delay shutdown", { skip: skipWithoutSignals }, async (t) => {
  const command = runCommand(t, ["--port", "0"]);
  const raw = await openRaw(t, await command.ready());
  raw.ws.pause();
  assert.ok((await timeToExit(command, "SIGTERM")) < 2_000);
});

test("shutdown answers a request in flight without waiting for its kept-alive connection", async (t) => {
  const asked = new EventEmitter();
  const slow = (app: FastifyInstance) =>
    void app.get("/slow", async () => {
      asked.emit("asked");
      await once(asked, "answer");
      return "done";
    });
  const { url, app } = await startServer(t, {}, { prepare: slow });
  const request = get(`${url}/slow`, { agent: new Agent({ keepAlive: true }) });
  await once(asked, "asked");
  const closed = app.close();
  const start = Date.now();
  asked.emit("answer");
  const [response] = await once(request, "response");
  assert.equal(response.statusCode, 200);
  response.resume();
  await closed;
  assert.ok(Date.now() - start < 1_000);
});

test("idle connections and requests for new sessions do not delay shutdown", async (t) => {
  const { url, app, port } = await startServer(t);
  const spare = openTcp(port, "127.0.0.1");
  const kept = openTcp(port, "127.0.0.1");
  await Promise.all([once(spare, "connect"), once(kept, "connect")]);
  const poll = (query: string) =>
    kept.write(`GET /socket.io/?EIO=4&transport=polling${query} HTTP/1.1\r\nHost: x\r\n\r\n`);
  poll("");
  const [opened] = await once(kept, "data");
  const [, sid] = String(opened).match(/"sid":"([^"]+)"/) ?? [];
  poll(`&sid=${sid}`);
  await connect(t, url);
  const start = Date.now();
  const closed = app.close();
  await once(kept, "data");
  poll("");
  await closed;
  assert.equal(app.roomcast.io.engine.clientsCount, 0);
  assert.ok(Date.now() - start < 2_000);
});

test("closing the app without draining it tells WebSocket clients that the server is shutting down", async (t) => {
  const { url, app } = await startServer(t);
  const raw = await openRaw(t, url);
  const [closed] = await Promise.all([once(raw.ws, "close"), app.close()]);
  assert.deepEqual([closed[0], String(closed[1])], [1001, "server shutting down"]);
  assert.match(
    await app.roomcast.metrics.metrics(),
    /roomcast_endings_total\{reason="server shutting down"\} 1\n/,
  );
});

test("members are not notified of each other's disconnects at shutdown", async (t) => {
  const { url, app } = await startServer(t);
  const members = [await enter(t, url, "ann", "lobby"), await enter(t, url, "bob", "lobby")];
  const gone = members.map(({ socket }) => next(socket, "disconnect"));
  await app.close();
  await Promise.all(gone);
  for (const { texts } of members) assert.ok(!texts.includes("disconnected!"));
});

test("the server stops listening before it disconnects its clients", async (t) => {
  const { url, app } = await startServer(t);
  await connect(t, url);
  const [socket] = app.roomcast.io.of("/").sockets.values();
  const listening = next(socket as never, "disconnect").then(() => app.server.listening);
  await app.close();
  assert.equal(await listening, false);
});

test("shutdown answers polls in flight without waiting for their kept-alive connections", async (t) => {
  const { url, app } = await startServer(t);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const session = next(app.roomcast.io.engine, "connection");
  const [opened] = await once(get(engineUrl(url, "polling"), { agent }), "response");
  const [handshake] = await once(opened, "data");
  const { sid } = JSON.parse(String(handshake).slice(1));
  const poll = get(engineUrl(url, "polling", `sid=${sid}`), { agent });
  const [{ transport }] = await session;
  await next(transport, "ready");
  const start = Date.now();
  await app.close();
  assert.ok(Date.now() - start < 1_000);
  const [answer] = await once(poll, "response");
  assert.equal(answer.statusCode, 200);
});
