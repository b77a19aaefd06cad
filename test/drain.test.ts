import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { client, connect, enter, next } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { skipWithoutSignals } from "./support/programs.ts";
import { connectRaw, engineUrl } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

test("the server reports not ready, then refuses new clients, then disconnects all clients one by one", async (t) => {
  const { url, app } = await startServer(t, { drainDelayMs: 300, drainTimeMs: 400 });
  const members = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      connect(t, url, { transports: [n % 2 ? "polling" : "websocket"], reconnection: false }),
    ),
  );
  const gone = members.map(async ({ socket }) => {
    await next(socket, "disconnect");
    return performance.now();
  });
  const drained = app.roomcast.drain();
  assert.equal((await fetch(`${url}/readyz`)).status, 503);
  const late = await connect(t, url, { reconnection: false });
  gone.push(next(late.socket, "disconnect").then(() => performance.now()));
  const first = await Promise.race(gone);
  const refused = await fetch(engineUrl(url, "polling"));
  assert.deepEqual([refused.status, (await refused.json()).code], [503, "draining"]);
  await next(client(t, url, { reconnection: false }), "connect_error");
  const times = (await Promise.all(gone)).toSorted((a, b) => a - b);
  assert.ok(Number(times.at(-1)) - first > 300, "the disconnects are spread over the drain time");
  assert.ok(
    Number(times[10]) - first > 100 && Number(times.at(-1)) - Number(times[10]) > 100,
    "the disconnects do not come in a burst",
  );
  await drained;
  assert.equal(app.roomcast.io.engine.clientsCount, 0);
});

test("a WebSocket receives the close reason, and its client reconnects", async (t) => {
  const { url, app, port } = await startServer(t, { drainTimeMs: 0 });
  const ann = await connect(t, url, { reconnectionDelay: 50 });
  const lost = next(ann.socket, "disconnect");
  await app.roomcast.drain();
  const [reason, { context }] = await lost;
  assert.deepEqual([reason, context.code, context.reason], ["transport close", 1001, "server shutting down"]);
  const back = next(ann.socket, "connect");
  await app.close();
  await startServer(t, {}, { port });
  await back;
});

test("a drain does not notify members of other members' disconnects", async (t) => {
  const { url, app, logs } = await startServer(t, { drainTimeMs: 100 });
  const members = await Promise.all(["ann", "bob", "cy"].map((name) => enter(t, url, name, "lobby")));
  for (const { socket } of members) socket.io.reconnection(false);
  await app.roomcast.drain();
  for (const { texts } of members) assert.ok(!texts.includes("disconnected!"));
  const reasons = logs.filter(({ msg }) => msg === "disconnected").map(({ reason }) => reason);
  assert.deepEqual(reasons, Array(3).fill("server shutting down"));
  const metrics = await app.roomcast.metrics.metrics();
  assert.match(metrics, /roomcast_endings_total\{reason="server shutting down"\} 3\n/);
  assert.match(metrics, /roomcast_disconnects_total\{namespace="\/",reason="server shutting down"\} 3\n/);
});

test("members that read lose no acked message in a drain", async (t) => {
  const { url, app } = await startServer(t, {
    drainTimeMs: 300,
    eventsBurst: 100_000,
    eventsPerSecond: 100_000,
  });
  const acked: string[] = [];
  const readers = await Promise.all(
    Array.from({ length: 6 }, (_, n) =>
      connect(t, url, {
        query: { userId: `r${n}`, room: `own${n}` },
        transports: [n % 3 ? "websocket" : "polling"],
        reconnection: false,
      }),
    ),
  );
  let sent = 0;
  // Each member sends to its own room as fast as acks arrive, until the server disconnects it. It must have
  // received every message that was acked.
  for (const [n, { socket }] of readers.entries()) {
    const say = () => {
      const text = `${n}.${sent++} ${"x".repeat(2_000)}`;
      socket.emit("chat", text, (receipt) => {
        if ("id" in receipt) acked.push(`<= ${text}`);
        say();
      });
    };
    for (let k = 0; k < 8; k++) say();
  }
  await until(() => assert.equal(acked.length > 500, true));
  const gone = readers.map(({ socket }) => next(socket, "disconnect"));
  await app.roomcast.drain();
  await Promise.all(gone);
  const heard = new Set(readers.flatMap(({ texts }) => texts));
  assert.deepEqual(
    acked.filter((text) => !heard.has(text)),
    [],
  );
});

test("a backed-up client that reads again receives everything before it is disconnected", async (t) => {
  const { url, app } = await startServer(t, { drainTimeMs: 0, sendQueueMaxBytes: 50_000_000 });
  const ann = await enter(t, url, "ann", "lobby");
  const raw = await connectRaw(t, url, "room=lobby");
  raw.ws.pause();
  for (let n = 0; n < 600; n++) await ann.ask("chat", `${n} ${"x".repeat(16_000)}`);
  const [, slow] = [...app.roomcast.io.of("/").sockets.values()];
  const { writeBuffer = [] } = (slow?.conn ?? {}) as { writeBuffer?: unknown[] };
  assert.ok(writeBuffer.length > 0);
  const drained = app.roomcast.drain();
  raw.ws.resume();
  await raw.receives(/<= 599 x/);
  await raw.closed();
  await drained;
});

test("completes a handshake that was still waiting for the issuer when the drain began", async (t) => {
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: "a" }] });
  const asked: (() => void)[] = [];
  const issuer = createServer((_request, response) => asked.push(() => response.end(keys)));
  await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
  t.after(() => issuer.close().closeAllConnections());
  const authJwks = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/`;
  const { url, app } = await startServer(t, { authJwks, drainTimeMs: 0 });
  const token = await new SignJWT({ sub: "ann" })
    .setProtectedHeader({ alg: "RS256", kid: "a" })
    .sign(privateKey);
  const greeted = next(client(t, url, { auth: { token }, reconnection: false }), "res");
  await until(() => assert.equal(asked.length, 1));
  const drained = app.roomcast.drain();
  // Waits until the server refuses new sessions.
  while ((await fetch(engineUrl(url, "polling"))).status !== 503);
  asked[0]?.();
  assert.equal((await greeted)[0].text, "connected!");
  await drained;
});

test("waits less than 3 s for a client that neither reads nor responds", async (t) => {
  const { url, app } = await startServer(t, { drainTimeMs: 0 });
  const raw = await connectRaw(t, url, "room=lobby");
  (raw.ws as unknown as { _socket: Socket })._socket.pause();
  const start = performance.now();
  await app.roomcast.drain();
  await app.close();
  assert.ok(performance.now() - start < 3_000);
});

test("a second signal ends the process at once", { skip: skipWithoutSignals }, async (t) => {
  const command = runCommand(t, ["--port", "0", "--drain-delay", "60000"]);
  const url = await command.ready();
  await connect(t, url, { reconnection: false });
  command.process.kill("SIGTERM");
  await until(() => assert.equal(command.stdout.includes("closing on SIGTERM"), true));
  assert.equal((await fetch(`${url}/readyz`)).status, 503);
  const start = Date.now();
  command.process.kill("SIGTERM");
  await command.exit();
  assert.ok(Date.now() - start < 1_000);
});

test("the operations port responds until the process exits", {
  skip: skipWithoutSignals,
}, async (t) => {
  const command = runCommand(t, [
    "--port",
    "0",
    "--operations-port",
    "0",
    "--drain-delay",
    "300",
    "--drain-time",
    "100",
  ]);
  const url = await command.ready();
  const [, apart] = command.stdout.match(/metrics and health are at (http:\/\/[^\s"]+)/) ?? [];
  const ann = await connect(t, url, { reconnection: false });
  const lost = once(ann.socket as never, "disconnect");
  command.process.kill("SIGTERM");
  await until(() => assert.equal(command.stdout.includes("closing"), true));
  assert.equal((await fetch(`${apart}/readyz`)).status, 503);
  assert.equal((await fetch(`${apart}/livez`)).status, 200);
  assert.match(await (await fetch(`${apart}/metrics`)).text(), /roomcast_sessions 1\n/);
  await lost;
  assert.equal(await command.exit(), 0);
});
