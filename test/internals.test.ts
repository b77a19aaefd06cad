import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { EventEmitter } from "node:events";
import { ServerResponse } from "node:http";
import { Socket as TcpSocket } from "node:net";
import { test } from "node:test";
import { Server as StockEngine, Socket as StockSocket } from "engine.io";
import { Namespace, type Server } from "socket.io";
import { Decoder } from "socket.io-parser";
import { WebSocketServer } from "ws";
import { EngineSocket } from "../src/engineio/engine-socket.ts";
import { clientsOf, StockJsonp, StockPolling } from "../src/engineio/internals.ts";
import { ReducedRequest } from "../src/engineio/reduced-request.ts";
import { WebSocketTransport } from "../src/engineio/websocket-transport.ts";
import { FastDecoder } from "../src/socketio/decoder.ts";
import { isPayloadValid } from "../src/socketio/internals.ts";
import { client, connect, next } from "./support/client.ts";
import { startEngine } from "./support/engines.ts";
import { enterBy, openPolling, openRaw, ways } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

// biome-ignore lint/suspicious/noExplicitAny: the test is about fields that the public types do not have
type Untyped = any;

const isFunction = (value: unknown) => typeof value === "function";
const isResponse = (value: unknown) => value instanceof ServerResponse;
const isArray = Array.isArray;

/** Every field that the internals.ts files use, by name, with a check that a live connection still has it. */
const internals: Record<string, (live: { io: Server; websocket: Untyped; polling: Untyped }) => unknown> = {
  "engine.io Server#createTransport is called": ({ websocket }) =>
    websocket.conn.transport instanceof WebSocketTransport,
  ...Object.fromEntries(
    ["handshake", "verify", "handleUpgrade", "emit"].map((name) => [
      `engine.io Server#${name}`,
      () => isFunction(Reflect.get(StockEngine.prototype, name)),
    ]),
  ),
  "engine.io Server#middlewares": ({ io }) => isArray(Reflect.get(io.engine, "middlewares")),
  "engine.io Server#clients": ({ io, websocket: { conn } }) => clientsOf(io.engine)[conn.id] === conn,
  "engine.io request._query": ({ websocket: { conn } }) => conn.request._query.transport === "websocket",
  "engine.io request.websocket": ({ websocket: { conn } }) => isFunction(conn.transport.socket.terminate),
  "engine.io Server#handshake is called": ({ websocket: { conn }, polling }) =>
    conn.request instanceof ReducedRequest &&
    [conn, polling].every((socket) => socket instanceof EngineSocket),
  "engine.io Socket#id": ({ websocket: { conn } }) => typeof conn.id === "string",
  "engine.io Socket#request": ({ websocket: { conn } }) => typeof conn.request.url === "string",
  "engine.io Socket#writeBuffer": ({ websocket: { conn } }) => isArray(conn.writeBuffer),
  "engine.io Socket#cleanupFn": ({ websocket: { conn } }) => conn.cleanupFn.length === 1,
  "engine.io Socket#sentCallbackFn": ({ websocket: { conn } }) => isArray(conn.sentCallbackFn),
  "engine.io Socket#sendPacket": () => isFunction(Reflect.get(StockSocket.prototype, "sendPacket")),
  "engine.io Socket#pingTimeoutTimer": ({ polling }) => isFunction(polling.pingTimeoutTimer.refresh),
  "engine.io Socket#onClose": ({ websocket: { conn } }) => isFunction(conn.onClose),
  "engine.io Socket#server": ({ io, websocket: { conn } }) => conn.server === io.engine,
  "engine.io Socket#readyState can be set": ({ websocket: { conn } }) =>
    conn.readyState === "open" && Reflect.set(conn, "readyState", "open"),
  "engine.io Transport#discard": ({ polling: { transport } }) => isFunction(transport.discard),
  "engine.io Transport#parser": ({ websocket: { conn } }) => isFunction(conn.transport.parser.encodePacket),
  "engine.io Transport#supportsBinary": ({ websocket: { conn } }) => conn.transport.supportsBinary === true,
  "engine.io Polling#parser": ({ polling: { transport } }) =>
    ["encodePayload", "encodePayloadAsBinary", "decodePayload", "decodePacket"].every((name) =>
      isFunction(transport.parser[name]),
    ),
  "engine.io Polling#readyState": ({ polling: { transport } }) => transport.readyState === "open",
  "engine.io Polling#protocol": ({ polling: { transport } }) => transport.protocol === 3,
  "engine.io Polling#res": ({ polling: { transport } }) => isResponse(transport.res),
  "engine.io Polling#dataReq": ({ polling: { transport } }) => !transport.dataReq,
  "engine.io Polling#dataRes": ({ polling: { transport } }) => !transport.dataRes,
  "engine.io Polling#maxHttpBufferSize": ({ polling: { transport } }) => transport.maxHttpBufferSize > 0,
  "engine.io Polling#closeTimeout": ({ polling: { transport } }) => transport.closeTimeout > 0,
  ...Object.fromEntries(
    ["headers", "onDataRequest", "send", "doWrite", "onData", "onPacket", "onClose", "onError"].map(
      (name) => [
        `engine.io Polling#${name}`,
        () => isFunction(StockPolling.prototype[name]) && isFunction(StockJsonp.prototype[name]),
      ],
    ),
  ),
  "engine.io Server#opts.wsEngine": ({ io }) => (io.engine as Untyped).ws instanceof WebSocketServer,
  "ws writes to the socket of the upgrade": ({ websocket: { conn } }) =>
    conn.transport.tcp instanceof TcpSocket && conn.transport.tcp.writable,
  "socket.io Client#id": ({ websocket }) => websocket.client.id === websocket.conn.id,
  "socket.io Client#nsps": ({ websocket }) => websocket.client.nsps.get("/") === websocket,
  "socket.io Client#decoder": ({ websocket }) => websocket.client.decoder instanceof FastDecoder,
  "socket.io Client#conn": ({ websocket }) => websocket.client.conn === websocket.conn,
  "socket.io Client#writeToEngine": ({ websocket }) => isFunction(websocket.client.writeToEngine),
  "socket.io Server#_nsps": ({ io }) => Reflect.get(io, "_nsps").get("/") === io.sockets,
  "socket.io Namespace#_add": ({ io }) => isFunction(Reflect.get(Namespace.prototype, "_add")) && io.sockets,
  "socket.io Namespace#_fns": ({ io }) => isArray(Reflect.get(io.sockets, "_fns")),
  "socket.io Socket#client": ({ websocket }) => websocket.client.sockets.get(websocket.id) === websocket,
  "socket.io Socket#fns": ({ websocket }) => isArray(websocket.fns),
  "socket.io Socket#_anyListeners": ({ websocket }) => {
    websocket.onAny(() => {});
    return websocket._anyListeners.length === 1 && websocket.offAny();
  },
  "socket.io Socket#_anyOutgoingListeners": ({ websocket }) => {
    websocket.onAnyOutgoing(() => {});
    return websocket._anyOutgoingListeners.length === 1 && websocket.offAnyOutgoing();
  },
  "socket.io Socket#notifyOutgoingListeners": ({ websocket }) =>
    isFunction(websocket.notifyOutgoingListeners),
  "socket.io-adapter Adapter#encoder": ({ websocket }) => isFunction(websocket.adapter.encoder.encode),
  "socket.io-parser Decoder.isPayloadValid": () => isPayloadValid(2, ["x"]) && !isPayloadValid(2, [{}]),
  "socket.io-parser Decoder#reconstructor": () => {
    const decoder = new Decoder();
    decoder.add('51-["x",{"_placeholder":true,"num":0}]');
    return Reflect.get(decoder, "reconstructor");
  },
  "socket.io-parser Decoder#emitReserved": () => isFunction(Reflect.get(Decoder.prototype, "emitReserved")),
};

test(`Node ${process.version}, engine.io and socket.io have every internal that roomcast uses`, async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const arrived = next(io, "connection");
  client(t, url);
  const [websocket] = await arrived;
  const opened = next(io.engine, "connection");
  const session = await openPolling(url, "", 3);
  const [polling] = await opened;
  const poll = new AbortController();
  // The first poll reads what is queued already, the second one waits.
  await (await fetch(session)).text();
  const waiting = fetch(session, { signal: poll.signal }).catch(() => {});
  await until(() => assert.ok(isResponse(polling.transport.res)));
  const missing = Object.entries(internals).filter(([, has]) => {
    try {
      return !has({ io, websocket, polling });
    } catch {
      return true;
    }
  });
  assert.deepEqual(
    missing.map(([name]) => name),
    [],
  );
  poll.abort();
  await waiting;
});

// roomcast's engine has a handshake of its own that follows this one: see `Engine#handshake`.
test("Engine.IO's handshake has not changed", () => {
  const source = String(Reflect.get(StockEngine.prototype, "handshake"));
  assert.equal(
    createHash("sha256").update(source).digest("hex"),
    "5e5cfb4b01fd1ce2f122d95b0f9757054ba6281959898d9285796c1932aa228f",
  );
});

test("emits close to all listeners of a session", async (t) => {
  const { url, app } = await startServer(t);
  const opened = next(app.roomcast.io.engine, "connection");
  const raw = await openRaw(t, url);
  const [connection] = await opened;
  const calls: number[] = [];
  for (const n of [1, 2, 3]) (connection as EventEmitter).once("close", () => calls.push(n));
  raw.ws.terminate();
  await until(() => assert.deepEqual(calls, [1, 2, 3]));
});

for (const eio of [3, 4]) {
  for (const way of ways) {
    test(`detects a lost connection: ${way}, Engine.IO ${eio}`, async (t) => {
      const { url, app } = await startServer(t);
      const ann = await connect(t, url, { query: { userId: "ann", room: "hall" } });
      const bob = await enterBy(t, url, way, eio, "userId=bob&room=hall");
      await ann.hears("<= bob join hall");
      const connection: Untyped = Object.values(clientsOf(app.roomcast.io.engine))[1];
      await until(() => {
        const { transport } = connection;
        assert.equal(way === "polling" ? isResponse(transport.res) : transport.name === "websocket", true);
      });
      await bob.lose();
      await ann.hears("disconnected!");
      await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 1));
      assert.equal(app.roomcast.io.of("/").sockets.size, 1);
      assert.deepEqual(await ann.ask("leave", "hall"), { room: "hall", rooms: [], members: 0 });
    });
  }
}
