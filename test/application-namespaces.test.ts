import assert from "node:assert/strict";
import { test } from "node:test";
import type { Socket } from "socket.io-client";
import type { Decoder } from "socket.io-parser";
import type { RoomcastOptions } from "../src/roomcast.ts";
import { connect, next, client as startClient } from "./support/client.ts";
import { within } from "./support/deferred.ts";
import { startEngine } from "./support/engines.ts";
import { openRaw } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { authSecret, now, token } from "./support/tokens.ts";
import { until } from "./support/until.ts";

/** Creates a client typed for an application's own events. */
const client = (...options: Parameters<typeof startClient>) => startClient(...options) as unknown as Socket;

type IO = RunningServer["app"]["roomcast"]["io"];

/** Starts a server whose application handles `move` on `/game`, `/status` and a pattern of namespaces. */
function startGame(t: Parameters<typeof startServer>[0], options: RoomcastOptions, heard: unknown[] = []) {
  const serve = (io: IO, name: string | RegExp) =>
    io.of(name as string).on("connection", (socket) => {
      socket.on("move", (to, ack) => {
        heard.push(to);
        if (typeof ack === "function") ack(`${socket.data.userId} moved to ${to}`);
      });
    });
  return startServer(t, options, {
    prepare: ({ roomcast: { io } }) => {
      serve(io, "/game");
      serve(io, /^\/table-\d+$/);
      serve(io, "/status");
    },
  });
}

test("an application's namespaces require a token where tokens are required, unless they are public", async (t) => {
  const { url } = await startGame(t, { authSecret, publicNamespaces: ["/status"] });
  for (const name of ["/game", "/table-7"]) {
    const refused = client(t, url + name, { reconnection: false });
    const [error] = await next(refused, "connect_error");
    assert.deepEqual((error as Error & { data: unknown }).data, {
      code: "unauthorized",
      message: "This server asks for a valid token.",
    });
    const ann = client(t, url + name, { auth: { token: await token({ sub: "ann" }) } });
    assert.equal(await ann.emitWithAck("move", "e4"), "ann moved to e4");
  }
  assert.equal(await client(t, `${url}/status`).emitWithAck("move", "e4"), "undefined moved to e4");
});

test("the application's middleware does not run for clients without a token", async (t) => {
  const seen: unknown[] = [];
  const { url } = await startServer(
    t,
    { authSecret },
    {
      prepare: ({ roomcast: { io } }) => {
        for (const name of ["/game", /^\/table-\d+$/])
          io.of(name as string).use((socket, proceed) => {
            seen.push(socket.data.userId);
            proceed();
          });
      },
    },
  );
  for (const name of ["/game", "/table-7"]) {
    await next(client(t, url + name, { reconnection: false }), "connect_error");
    await next(client(t, url + name, { auth: { token: await token({ sub: "ann" }) } }), "connect");
  }
  assert.deepEqual(seen, ["ann", "ann"]);
});

test("events on an application's namespaces count towards the connection's rate limit", async (t) => {
  const heard: unknown[] = [];
  const { url, app } = await startGame(t, { eventsPerSecond: 1, eventsBurst: 5 }, heard);
  for (const name of ["/game", "/table-7"]) {
    heard.length = 0;
    const ann = client(t, url + name);
    const errors: unknown[] = [];
    ann.on("error", (failure) => errors.push(failure));
    for (let n = 0; n < 5; n++) ann.emit("move", n);
    const { error } = await ann.emitWithAck("move", 5);
    assert.equal(error.code, "rate_limited");
    ann.emit("move", 6);
    await next(ann, "error");
    assert.deepEqual(heard, [0, 1, 2, 3, 4]);
    assert.equal((errors[0] as { event: string }).event, "move");
    const gone = next(ann, "disconnect");
    for (let n = 0; n < 20; n++) ann.emit("move", n);
    assert.equal((await gone)[0], "transport close");
    ann.disconnect();
  }
  assert.match(await app.roomcast.metrics.metrics(), /roomcast_endings_total\{reason="rate limited"\} 2/);
});

test("a socket in an application's namespace is disconnected when its token expires, unless it is renewed", async (t) => {
  const { url } = await startGame(t, { authSecret, authGraceMs: 600 });
  const auth = { token: await token({ sub: "ann", exp: now() - 4 }) };
  const forgetful = client(t, `${url}/game`, { auth, forceNew: true });
  const renewing = await connect(t, url, { auth });
  const game: Socket = renewing.socket.io.socket("/game", { auth });
  await Promise.all([next(game, "connect"), renewing.ask("auth", await token({ sub: "ann" }))]);
  assert.equal((await next(forgetful, "disconnect"))[0], "io server disconnect");
  assert.equal(await game.emitWithAck("move", "e4"), "ann moved to e4");
});

test("a token expires even if the application's middleware replaces socket.data", async (t) => {
  const { url } = await startServer(
    t,
    { authSecret, authGraceMs: 300 },
    {
      prepare: ({ roomcast: { io } }) => {
        io.of("/game").use((socket, proceed) => {
          socket.data = {};
          proceed();
        });
      },
    },
  );
  const auth = { token: await token({ sub: "ann", exp: now() - 4 }) };
  const ann = client(t, `${url}/game`, { auth });
  assert.equal((await within("the disconnect", next(ann, "disconnect")))[0], "io server disconnect");
});

test("large events are parsed for an application's namespaces as long as these exist", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const { _opts, _nsps, _parser } = io as unknown as {
    _opts: object;
    _nsps: Map<string, unknown>;
    _parser: { Decoder: typeof Decoder };
  };
  Object.assign(_opts, { cleanupEmptyChildNamespaces: true });
  io.of(/^\/table-\d+$/);
  const decoded = async () => {
    const decoder = new _parser.Decoder();
    const packet = new Promise<{ data: unknown[] }>((resolve) => decoder.on("decoded", resolve as never));
    decoder.add(`2/table-7,["move","${"x".repeat(300_000)}"]`);
    return typeof (await packet).data[1];
  };
  const ann = client(t, `${url}/table-7`);
  await next(ann, "connect");
  assert.equal(await decoded(), "string");
  ann.disconnect();
  await until(() => assert.equal(_nsps.has("/table-7"), false));
  assert.equal(await decoded(), "object");
});

test("a client that sends CONNECT to an application's namespace twice at once is disconnected", async (t) => {
  const { url, app } = await startGame(t, { authSecret });
  const raw = await openRaw(t, url);
  const connectPacket = `40/game,${JSON.stringify({ token: await token() })}`;
  raw.send(connectPacket, connectPacket);
  await raw.closed();
  await until(() => assert.equal(app.roomcast.io.of("/game").sockets.size, 0));
});
