import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { RoomcastOptions } from "../src/config/options.ts";
import type { Dispatcher } from "../src/namespaces/dispatcher.ts";
import { coreOf } from "../src/roomcast.ts";
import { client, connect, enter, next } from "./support/client.ts";
import { connectRaw, openPolling, openRaw } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { authSecret, now, token } from "./support/tokens.ts";
import { until } from "./support/until.ts";

/** Starts a server. @returns its URL and a function that counts its rooms, members, timers and listeners */
async function startCounted(t: TestContext, options: RoomcastOptions = {}) {
  const { url, app } = await startServer(t, options);
  const { io } = app.roomcast;
  const [{ namespace }] = coreOf(app).dispatchers as [Dispatcher];
  const { hub } = namespace.rooms;
  const nsp = io.of("/");
  const listeners = (emitter: NodeJS.EventEmitter) =>
    emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
  const count = () => ({
    rooms: hub.roomCount,
    members: [...hub.connections].length,
    clients: io.engine.clientsCount,
    sockets: nsp.sockets.size,
    keys: nsp.adapter.rooms.size,
    sids: nsp.adapter.sids.size,
    begun: (nsp as unknown as { _preConnectSockets: Map<string, unknown> })._preConnectSockets.size,
    timers: process.getActiveResourcesInfo().filter((name) => name === "Timeout").length,
    listeners: listeners(app.server) + listeners(io.engine) + listeners(io.sockets as never),
  });
  return { url, count };
}

test("2,000 dropped connections leave nothing behind", async (t) => {
  const { url, count } = await startCounted(t);
  const before = count();
  for (let i = 0; i < 2_000; i += 100) {
    const raws = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        n % 2 ? connectRaw(t, url, `room=lobby&room=r${n}`) : openRaw(t, url, "room=lobby"),
      ),
    );
    for (const raw of raws) raw.ws.terminate();
  }
  await until(() => assert.deepEqual(count(), before));
});

test("clients that repeat CONNECT before the server replies leave nothing behind", async (t) => {
  const { url, count } = await startCounted(t);
  const before = count();
  for (let i = 0; i < 20; i++) {
    const session = await openPolling(url, "room=lobby");
    await fetch(session, { method: "POST", body: "40\x1e40\x1e40" }).catch(() => {});
  }
  await until(() => assert.deepEqual({ ...count(), timers: 0 }, { ...before, timers: 0 }));
});

test("polling sessions closed by their clients leave nothing behind", async (t) => {
  const { url, count } = await startCounted(t);
  const before = count();
  for (let i = 0; i < 50; i++) {
    const session = await openPolling(url, "room=lobby");
    await fetch(session, { method: "POST", body: "40" });
    await fetch(session, { method: "POST", body: '42["join","den"]\x1e42["chat","hi"]\x1e1' });
  }
  await until(() => assert.deepEqual({ ...count(), timers: 0 }, { ...before, timers: 0 }));
});

test("100 concurrent joins of a room count 100 members, and none remain after the clients disconnect", async (t) => {
  const { url, count } = await startCounted(t);
  const before = count();
  const members = await Promise.all(Array.from({ length: 100 }, () => connect(t, url)));
  const acks = await Promise.all(members.map((member) => member.ask("join", "lobby")));
  assert.deepEqual(
    acks.map(({ members }) => members).toSorted((a, b) => a - b),
    Array.from({ length: 100 }, (_, i) => i + 1),
  );
  assert.equal(count().rooms, 1);
  const byes = members.map((member, n) => (n % 2 ? member.ask("bye") : member.socket.disconnect()));
  await Promise.all(byes);
  for (const { socket } of members) socket.disconnect();
  await until(() => assert.deepEqual({ ...count(), timers: 0 }, { ...before, timers: 0 }));
});

test("a connection that joins, leaves and rejoins 200 rooms, then drops, leaves nothing behind", async (t) => {
  const { url, count } = await startCounted(t);
  const before = count();
  const ann = await enter(t, url, "ann", "lobby");
  const names = Array.from({ length: 199 }, (_, i) => `r${i}`);
  await Promise.all(names.map((name) => ann.ask("join", name)));
  assert.equal(count().rooms, 200);
  await Promise.all(names.map((name) => ann.ask("leave", name)));
  assert.equal(count().rooms, 1);
  await Promise.all(names.map((name) => ann.ask("join", name)));
  ann.socket.disconnect();
  await until(() => assert.deepEqual({ ...count(), timers: 0 }, { ...before, timers: 0 }));
});

test("clients accepted with a token and clients refused without one leave no timer behind", async (t) => {
  const { url, count } = await startCounted(t, { authSecret, handlerTimeoutMs: 3_600_000 });
  const before = count();
  const valid = await token({ exp: now() + 3_600 });
  for (let n = 0; n < 20; n++) {
    const ann = await connect(t, url, { auth: { token: valid, room: "lobby" } });
    await ann.ask("auth", valid);
    ann.socket.disconnect();
    const stranger = client(t, url, { auth: { token: "none" } });
    await next(stranger, "connect_error");
    stranger.disconnect();
  }
  await until(() => assert.deepEqual(count(), before));
});
