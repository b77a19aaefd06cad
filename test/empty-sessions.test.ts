import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { enter } from "./support/client.ts";
import { openPolling, openRaw } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

type Send = (packet: string) => Promise<unknown>;
type Open = (t: TestContext, url: string, query: string) => Promise<Send>;

/**
 * Opens a session in each version over each transport; returns a function that sends one Engine.IO packet.
 */
const ways: Record<string, { eio: number; open: Open }> = {
  ...Object.fromEntries(
    [3, 4].map((eio) => [
      `Engine.IO ${eio} over WebSocket`,
      {
        eio,
        open: async (t: TestContext, url: string, query: string) => {
          const raw = await openRaw(t, url, query, eio);
          return async (packet: string) => raw.send(packet);
        },
      },
    ]),
  ),
  ...Object.fromEntries(
    [3, 4].map((eio) => [
      `Engine.IO ${eio} over polling`,
      {
        eio,
        open: async (_t: TestContext, url: string, query: string) => {
          const session = await openPolling(url, query, eio);
          return (packet: string) =>
            fetch(session, { method: "POST", body: eio === 3 ? `${packet.length}:${packet}` : packet });
        },
      },
    ]),
  ),
};

const sizeOf = ({ app }: RunningServer, nsp: string) => app.roomcast.io.of(nsp).sockets.size;
const endings = async ({ app }: RunningServer) =>
  Number(/endings_total\{reason="no namespace"\} (\d+)/.exec(await app.roomcast.metrics.metrics())?.[1]);

for (const [way, { eio, open }] of Object.entries(ways)) {
  describe(`a session of ${way} is closed after --handshake-timeout`, () => {
    const start = (t: TestContext) =>
      startServer(t, { handshakeTimeoutMs: 300 }, { prepare: (app) => void app.roomcast.io.of("/own") });

    test("once it has left all namespaces, but not while it is in one", async (t) => {
      const server = await start(t);
      const ann = await enter(t, server.url, "ann", "lobby");
      const send = await open(t, server.url, "");
      const names = ["/", "/chat", "/own"];
      for (const name of eio === 3 ? names.slice(1) : names)
        await send(`40${name}${name === "/" ? "" : ","}`);
      await until(() =>
        assert.deepEqual(
          names.map((name) => sizeOf(server, name)),
          [2, 1, 1],
        ),
      );
      await send("41");
      await send("41/chat,");
      await until(() =>
        assert.deepEqual(
          names.map((name) => sizeOf(server, name)),
          [1, 0, 1],
        ),
      );
      await ann.settled();
      assert.equal(server.app.roomcast.io.engine.clientsCount, 2);
      await send("41/own,");
      await until(() => assert.equal(server.app.roomcast.io.engine.clientsCount, 1));
      assert.equal(await endings(server), 1);
      assert.equal(await ann.ask("notice", "still here"), "have still here");
    });

    test("if it left and all its later handshakes were refused", async (t) => {
      const server = await start(t);
      const send = await open(t, server.url, "");
      if (eio === 4) await send("40");
      await until(() => assert.equal(sizeOf(server, "/"), 1));
      await send("41");
      await until(() => assert.equal(sizeOf(server, "/"), 0));
      await send("40/nowhere,");
      await send(eio === 4 ? '40{"userId":7}' : "40/chat?userId=");
      await until(() => assert.equal(server.app.roomcast.io.engine.clientsCount, 0));
    });

    test("if its only handshake was refused", async (t) => {
      const server = await start(t);
      const send = await open(t, server.url, "userId=");
      if (eio === 4) await send("40");
      await until(() =>
        assert.equal(
          server.logs.some(({ code }) => code === "bad_payload"),
          true,
        ),
      );
      await until(() => assert.equal(server.app.roomcast.io.engine.clientsCount, 0));
    });
  });
}

test("a session that rejoins a namespace in time stays open", async (t) => {
  const server = await startServer(t, { handshakeTimeoutMs: 300 });
  const [left, back] = [await openRaw(t, server.url), await openRaw(t, server.url)];
  for (const raw of [left, back]) raw.send("40");
  await until(() => assert.equal(sizeOf(server, "/"), 2));
  for (const raw of [left, back]) raw.send("41");
  await until(() => assert.equal(sizeOf(server, "/"), 0));
  back.send("40");
  await left.closed();
  back.send('421["notice","still here"]');
  assert.equal(await back.receives(/^431/), '431["have still here"]');
});
