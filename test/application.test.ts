import assert from "node:assert/strict";
import { IncomingMessage } from "node:http";
import { connect as openTcp } from "node:net";
import { describe, test } from "node:test";
import helmet from "helmet";
import { client, connect, next } from "./support/client.ts";
import { enterBy, openPolling, openRaw, ways } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

// biome-ignore lint/suspicious/noExplicitAny: an application may do anything to the objects it receives
type Untyped = any;
type App = RunningServer["app"];

const onRawSocket = (act: (raw: Untyped) => void) => (app: App) =>
  void app.roomcast.io.engine.on("connection", act);
const onSocket = (act: (socket: Untyped) => void) => (app: App) => void app.roomcast.io.on("connection", act);

describe("no client crashes an application that", () => {
  const served: Record<string, (app: App) => void> = {
    "sets the request of a connection to null": onRawSocket((raw) => (raw.request = null)),
    "deletes the request of a connection": onRawSocket((raw) => delete raw.request),
    "sets the request of a connection to an empty object": onRawSocket((raw) => (raw.request = {})),
    "sets the request of a connection to a string": onRawSocket((raw) => (raw.request = "gone")),
    "deletes the socket of a request": onRawSocket(({ request }) => delete request.socket),
    "sets the socket of a request to null": onRawSocket(({ request }) => (request.socket = null)),
    "deletes the headers of a request": onRawSocket(({ request }) => delete request.headers),
    "sets the headers of a request to null": onRawSocket(({ request }) => (request.headers = null)),
    "deletes the query of a request": onRawSocket(({ request }) => delete request._query),
    "sets the URL of a request to null": onRawSocket(({ request }) => (request.url = null)),
    "deletes a request before other listeners run": (app) =>
      void app.roomcast.io.engine.prependListener("connection", (raw: Untyped) => delete raw.request),
    "replaces a request before other listeners run": (app) =>
      void app.roomcast.io.engine.prependListener(
        "connection",
        (raw: Untyped) => (raw.request = { url: "/" }),
      ),
    "replaces the data of a socket": onSocket((socket) => (socket.data = {})),
    "deletes the request of a client": onSocket(({ conn }) => delete conn.request),
    "deletes the public properties of a request": onSocket(({ request }) => {
      for (const key of ["headers", "rawHeaders", "url", "method", "socket", "connection"])
        delete request[key];
    }),
    "destroys, pauses and reads a request": onSocket(({ request }) => {
      request
        .setEncoding("utf8")
        .on("data", () => {})
        .once("end", () => {})
        .resume();
      request.removeAllListeners();
    }),
    "uses engine middleware": ({ roomcast: { io } }) => {
      io.engine.use(helmet());
      io.engine.use((request: Untyped, _response: Untyped, proceed: () => void) => {
        request.session = {};
        setImmediate(proceed);
      });
    },
    "adds headers": ({ roomcast: { io } }) => {
      io.engine.on("initial_headers", (headers: Untyped) => (headers["set-cookie"] = "a=1; Path=/"));
      io.engine.on("headers", (headers: Untyped) => (headers["x-served-by"] = "ann"));
    },
    "listens for everything on a connection": onSocket(({ conn }) => {
      for (const event of ["packet", "packetCreate", "upgrading", "upgrade", "flush", "drain", "heartbeat"]) {
        conn.on(event, () => {});
        conn.prependOnceListener(event, () => {});
      }
    }),
  };
  const ended: Record<string, (app: App) => void> = {
    "closes a connection as it opens": onRawSocket((raw) => raw.close()),
    "closes and discards a connection as it opens": onRawSocket((raw) => raw.close(true)),
    "closes the connection of a client as it connects": onSocket(({ conn }) => conn.close()),
    "closes a connection before other listeners run": (app) =>
      void app.roomcast.io.engine.prependListener("connection", (raw: Untyped) => raw.close(true)),
    "disconnects a client as it connects": onSocket((socket) => socket.disconnect()),
    "disconnects a client and its connection as it connects": onSocket((socket) => socket.disconnect(true)),
    "disconnects all clients as one connects": (app) =>
      onSocket(() => app.roomcast.io.disconnectSockets(true))(app),
    "disconnects a room as a client connects": (app) =>
      onSocket(({ rooms }) => app.roomcast.io.in([...rooms]).disconnectSockets())(app),
    "refuses clients in middleware": ({ roomcast: { io } }) =>
      void io.use((_socket, proceed) => proceed(new Error("no"))),
    "refuses requests in middleware": ({ roomcast: { io } }) =>
      io.engine.use((_request: Untyped, _response: Untyped, proceed: (error: Error) => void) =>
        proceed(new Error("no")),
      ),
  };

  for (const [title, prepare] of Object.entries(served)) {
    test(`${title}, and all clients are served`, async (t) => {
      const { url, app } = await startServer(t, {}, { prepare });
      const ann = await connect(t, `${url}/chat`, { query: { userId: "ann", room: "hall" } });
      for (const eio of [3, 4]) {
        for (const way of ways) {
          const session = await enterBy(t, url, way, eio, `userId=${way}${eio}&room=hall`);
          // Connects to another namespace after the listeners have changed the request.
          await session.send("40/chat,");
          await ann.hears(`<= ${way}${eio} join hall`);
        }
      }
      assert.equal(app.roomcast.io.of("/").sockets.size, 6);
    });
  }
  for (const [title, prepare] of Object.entries(ended)) {
    test(`${title}, and the next client is disconnected or refused`, async (t) => {
      const { url, app } = await startServer(t, { handshakeTimeoutMs: 1_000 }, { prepare });
      for (const eio of [3, 4]) {
        for (const way of ways) void enterBy(t, url, way, eio, "userId=ann&room=hall").catch(() => {});
      }
      for (const transport of ["websocket", "polling"]) {
        const socket = client(t, url, {
          transports: [transport],
          query: { room: "hall" },
          reconnection: false,
        });
        await Promise.race([next(socket, "disconnect"), next(socket, "connect_error")]);
      }
      // A session that is closing waits for its client to poll once more.
      const open = () =>
        [...app.roomcast.io.of("/").sockets.values()].filter(({ conn }) => conn.readyState === "open");
      await until(() => assert.equal(open().length, 0));
      assert.equal((await fetch(`${url}/livez`)).status, 200);
    });
  }

  test("closes connections before other listeners run, and they do not count towards the limit", async (t) => {
    const { url, app } = await startServer(t, { maxConnectionsPerAddress: 2 });
    const close = (raw: Untyped) => raw.close(true);
    app.roomcast.io.engine.prependListener("connection", close);
    for (let n = 0; n < 5; n++) await (await openRaw(t, url)).closed();
    app.roomcast.io.engine.off("connection", close);
    for (let n = 0; n < 2; n++) await connect(t, url);
  });
});

test("answers a POST whose close packet makes a listener of the application throw", async (t) => {
  const errors: unknown[] = [];
  process.setUncaughtExceptionCaptureCallback((error) => errors.push(error));
  t.after(() => process.setUncaughtExceptionCaptureCallback(null));
  const fault = new Error("the application's own");
  const prepare = onRawSocket((raw) =>
    raw.on("close", () => {
      throw fault;
    }),
  );
  const { url } = await startServer(t, {}, { prepare });
  const session = await openPolling(url, "room=lobby");
  await fetch(session, { method: "POST", body: "40" });
  const body = '42["chat","hello"]\x1e1';
  const answer = await fetch(session, { method: "POST", body, signal: AbortSignal.timeout(5_000) });
  assert.equal(await answer.text(), "ok");
  assert.deepEqual(errors, [fault]);
});

test("a WebSocket reset while engine middleware is pending does not crash the process", async (t) => {
  for (const prepare of [
    ({ roomcast: { io } }: App, wait: (proceed: () => void) => void) =>
      io.engine.use((_request: Untyped, _response: Untyped, proceed: () => void) => wait(proceed)),
    ({ roomcast: { io } }: App, wait: (proceed: () => void) => void) => {
      io.engine.opts.allowRequest = (_request: Untyped, done: Untyped) => wait(() => done(null, true));
    },
  ]) {
    const { app, url, port } = await startServer(t);
    const waiting = new Promise<() => void>((resolve) => prepare(app, resolve));
    const connected = next(app.server, "connection");
    const socket = openTcp(port, "127.0.0.1");
    socket.write(
      "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    const [held] = await connected;
    const proceed = await waiting;
    const closed = next(held, "close");
    socket.resetAndDestroy();
    // Nothing reads a socket that Node has handed over, so the server would notice the reset only on a write.
    held.resume();
    await closed;
    proceed();
    await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 0));
    assert.equal((await fetch(`${url}/livez`)).status, 200);
  }
});

/**
 * Passes upgrade requests to `see` before any listener runs, as the instrumentation of tracing tools does.
 */
function onUpgrade({ server }: App, see: (request: IncomingMessage) => void): void {
  const emit = server.emit as (...args: unknown[]) => boolean;
  server.emit = (...args: unknown[]) => {
    if (args[0] === "upgrade") see(args[1] as IncomingMessage);
    return emit.apply(server, args);
  };
}

describe("the request of a connection", () => {
  const kept: Record<string, (app: App) => void> = {
    "engine middleware": ({ roomcast: { io } }) =>
      io.engine.use((_: Untyped, __: Untyped, proceed: () => void) => proceed()),
    allowRequest: ({ roomcast: { io } }) => {
      io.engine.opts.allowRequest = (_: Untyped, done: Untyped) => done(null, true);
    },
    "a headers listener": ({ roomcast: { io } }) => void io.engine.on("headers", () => {}),
    "a one-time initial_headers listener": ({ roomcast: { io } }) =>
      void io.engine.once("initial_headers", () => {}),
    "a custom id generator": ({ roomcast: { io } }) => {
      io.engine.generateId = () => String(Math.random());
    },
    "a property added to it": (app) => onUpgrade(app, (request) => Object.assign(request, { user: "ann" })),
    "a symbol property added to it": (app) =>
      onUpgrade(app, (request) => Object.assign(request, { [Symbol("trace")]: {} })),
  };
  for (const [title, prepare] of [["no customization", () => {}] as const, ...Object.entries(kept)]) {
    test(`is the same object for the whole connection, with ${title}`, async (t) => {
      const { url, app } = await startServer(t);
      prepare(app);
      const requests: Untyped[] = [];
      app.roomcast.io.engine.prependListener("connection", ({ request }: Untyped) => requests.push(request));
      app.roomcast.io.engine.on("connection", ({ request }: Untyped) => requests.push(request));
      app.roomcast.io.use(({ request }, proceed) => {
        requests.push(request);
        proceed();
      });
      const [[socket]] = await Promise.all([next(app.roomcast.io, "connection"), connect(t, url)]);
      await new Promise(setImmediate);
      assert.deepEqual(
        requests.map((request) => request === socket.request),
        [true, true, true],
      );
      assert.equal(socket.request === socket.conn.request, true);
      assert.equal(socket.request instanceof IncomingMessage, title !== "no customization");
    });
  }

  test("has the same properties as Node's own", async (t) => {
    const seen: Record<string, unknown>[] = [];
    const names = [
      "method",
      "url",
      "headers",
      "rawHeaders",
      "httpVersion",
      "complete",
      "aborted",
      "trailers",
    ];
    const read = (request: Untyped) => Object.fromEntries(names.map((name) => [name, request[name]]));
    const { url, app } = await startServer(t);
    onUpgrade(app, (request) => seen.push(read(request)));
    for (const extraHeaders of [{}, { "X-Mixed-Case": "é", cookie: "a=1; b=2" }, { "x-twice": ["1", "2"] }]) {
      const arrived = next(app.roomcast.io, "connection");
      await connect(t, url, { query: { room: "den" }, extraHeaders: extraHeaders as Record<string, string> });
      const [{ request }] = await arrived;
      const original = seen.pop();
      // Only the handshake's key differs between connections.
      assert.deepEqual(read(request), { ...original, complete: true });
      assert.equal(request.socket.remoteAddress, "127.0.0.1");
      assert.equal(request.connection, request.socket);
      assert.equal(request.on("close", assert.fail).once("end", assert.fail), request);
      request.url = "/elsewhere";
      assert.equal(request.url, "/elsewhere");
    }
  });
});
