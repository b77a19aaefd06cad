import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Adapter } from "socket.io-adapter";
import { Decoder } from "socket.io-parser";
import { frame } from "../src/engineio/frame.ts";
import { WebSocketTransport } from "../src/engineio/websocket-transport.ts";
import type { Message } from "../src/protocol.ts";
import { encodeCopy } from "../src/rooms/envelope.ts";
import { FastDecoder } from "../src/socketio/decoder.ts";
import { client, enter, next } from "./support/client.ts";
import { startEngine } from "./support/engines.ts";
import { connectRaw, openRaw } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

const strange = ["", "plain", '"\\\n', "\u0000\u001f", "\u2028\u2029", "\ud800", "👋", "__proto__", "<b>"];

test("encodes a message exactly as JSON.stringify does", () => {
  for (const text of strange) {
    const message: Message = {
      id: "0mwpnxg8j0000005557617b",
      type: "publish",
      userId: text,
      text,
      data: { [text]: [text, 1, null] },
      state: "normal",
      namespace: "/chat",
      room: text === "" ? null : text,
      rooms: [text, "other"],
      to: text,
      at: 1_795_219_001_954,
      offset: text === "" ? null : "k3f9:17",
    };
    assert.equal(encodeCopy(message, message.room, message.offset), JSON.stringify(message));
    const { data, to, ...required } = message;
    assert.equal(encodeCopy(required, required.room, required.offset), JSON.stringify(required));
  }
});

test("decodes or refuses a packet exactly as the stock decoder does", () => {
  const texts = [
    '2["join","lobby"]',
    '27["join","lobby"]',
    '2/chat,["msg","x"]',
    '2/chat,123["msg",{"a":[1,null]}]',
    '2/chat?x=1,0["msg"]',
    "2[0]",
    ...[
      '2["disconnect"]',
      "2[]",
      "2[{}]",
      "2{}",
      "2",
      "21",
      "2/chat",
      '2/chat["x"]',
      "2x",
      '2["a"',
      '2 ["a"]',
      "9",
    ],
    ...[
      '2007["x"]',
      '2-1["x"]',
      '21.5["x"]',
      "0",
      '0{"a":1}',
      "1",
      "3",
      '31["x"]',
      '4"no"',
      '2["__proto__"]',
      "",
    ],
    ...strange.map((text) => `2${JSON.stringify([text, text])}`),
  ];
  for (const text of texts) {
    const outcome = (decoder: Decoder) => {
      const packets: unknown[] = [];
      decoder.on("decoded", (packet: unknown) => packets.push(packet));
      try {
        decoder.add(text);
        return packets;
      } catch (error) {
        return String(error);
      }
    };
    assert.deepEqual(outcome(new FastDecoder()), outcome(new Decoder()), text);
  }
});

test("writes frames of every length class that a WebSocket client can read", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const arrived = next(io, "connection");
  const socket = client(t, url);
  const [server] = await arrived;
  for (const length of [0, 1, 100, 125, 126, 200, 65_000, 65_535, 65_536, 300_000]) {
    const heard = next(socket, "res");
    server.emit("res", "é".repeat(length));
    assert.equal((await heard)[0].length, length);
  }
  const headers = [125, 126, 65_535, 65_536].map((length) => frame("x".repeat(length)).length - length);
  assert.deepEqual(headers, [2, 4, 4, 10]);
});

describe("emits the events that an application may listen for on a connection:", () => {
  test("flush, drain and packetCreate for each packet", async (t) => {
    const { io, url } = await startEngine(t, "fast");
    const arrived = next(io, "connection");
    const socket = client(t, url);
    const [{ conn, id }] = await arrived;
    const told: string[] = [];
    conn.on("packetCreate", ({ data }: { data: string }) => told.push(`create ${data}`));
    conn.once("flush", () => told.push("flush"));
    conn.addListener("drain", () => told.push("drain"));
    const heard = next(socket, "res");
    io.to(id).emit("res", "x");
    await heard;
    assert.deepEqual(told, ['create 2["res","x"]', "flush", "drain"]);
    const again = next(socket, "res");
    io.to([id, "elsewhere"]).emit("res", "framed by the stock adapter, in two parts");
    assert.deepEqual(await again, ["framed by the stock adapter, in two parts"]);
  });

  for (const method of ["on", "addListener", "once", "prependListener", "prependOnceListener"]) {
    test(`to listeners added by ${method}, on a connection and on the server`, async (t) => {
      const { io, url } = await startEngine(t, "fast");
      const arrived = next(io, "connection");
      const socket = client(t, url);
      const [{ conn, id }] = await arrived;
      const events: [emitter: typeof conn, event: string][] = [
        ...["packetCreate", "flush", "drain"].map((event): [typeof conn, string] => [conn, event]),
        ...["flush", "drain"].map((event): [typeof conn, string] => [io.engine, event]),
      ];
      for (const [emitter, event] of events) {
        const told = new Promise((resolve) => emitter[method](event, resolve));
        const heard = next(socket, "res");
        io.to(id).emit("res", event);
        await Promise.all([told, heard]);
        emitter.removeAllListeners(event);
        emitter.observed = false;
      }
    });
  }

  test("and calls a callback when its packet was written", async (t) => {
    const { io, url } = await startEngine(t, "fast");
    const arrived = next(io, "connection");
    client(t, url);
    const [{ conn }] = await arrived;
    const order: string[] = [];
    await new Promise<void>((resolve) => {
      conn.send('2["res","first"]', undefined, () => order.push("first"));
      conn.send('2["res","second"]', undefined, () => {
        order.push("second");
        resolve();
      });
    });
    assert.deepEqual(order, ["first", "second"]);
  });
});

test("drops volatile packets only for backed-up clients", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const connection = next(io, "connection");
  const raw = await openRaw(t, url);
  raw.send("40");
  const [stalled] = await connection;
  stalled.join("room");
  const arrived = next(io, "connection");
  const reader = client(t, url);
  const [reading] = await arrived;
  reading.join("room");
  const heard = new Set<string>();
  reader.on("res", (text) => heard.add(String(text)));
  raw.ws.pause();
  await until(() => {
    io.emit("res", "x".repeat(500_000));
    assert.equal(stalled.conn.transport.writable, false);
  });
  const waiting = stalled.conn.writeBuffer.length;
  await until(() => {
    io.volatile.emit("res", "volatile");
    io.to("room").volatile.emit("res", "volatile in a room");
    assert.equal(heard.has("volatile") && heard.has("volatile in a room"), true);
  });
  assert.equal(stalled.conn.writeBuffer.length, waiting);
});

for (const end of ["disconnect", "close"] as const) {
  test(`packets sent in the same turn as a ${end} arrive before it`, async (t) => {
    const { io, url } = await startEngine(t, "fast");
    const arrived = next(io, "connection");
    const socket = client(t, url);
    const [server] = await arrived;
    const told: unknown[] = [];
    socket.on("res", (text) => told.push(text));
    const gone = next(socket, "disconnect");
    server.emit("res", "direct");
    io.to(server.id).emit("res", "last");
    if (end === "disconnect") server.disconnect(true);
    else await io.close();
    await gone;
    assert.deepEqual(told, ["direct", "last"]);
  });
}

test("packets sent during an upgrade keep their order", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const arrived = next(io, "connection");
  const socket = client(t, url, { transports: ["polling", "websocket"] });
  const heard: number[] = [];
  socket.on("res", (n) => heard.push(Number(n)));
  const [server] = await arrived;
  let sent = 0;
  const say = () => server.emit("res", sent++);
  let going = true;
  const talk = () => {
    say();
    if (going) setImmediate(talk);
  };
  const upgraded = next(server.conn, "upgrade");
  // Sent before Engine.IO flushes to the new transport what it queued during the upgrade.
  server.conn.once("upgrade", say);
  talk();
  await upgraded;
  going = false;
  say();
  await until(() => assert.equal(heard.length, sent));
  assert.deepEqual(
    heard,
    Array.from({ length: sent }, (_, n) => n),
  );
});

test("a socket disconnected from a namespace receives nothing more from it on the same connection", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  io.of("/other");
  const arrived = next(io, "connection");
  const raw = await openRaw(t, url);
  raw.send("40", "40/other,");
  await raw.receives(/^40\/other/);
  const [server] = await arrived;
  server.join("room");
  io.to("room").emit("res", "first");
  await raw.receives(/first/);
  server.disconnect();
  io.to("room").emit("res", "second");
  io.of("/other").emit("res", "marker");
  await raw.receives(/marker/);
  assert.ok(!raw.frames.some((received) => received.includes("second")));
});

test("delivers every kind of binary data intact, to one socket and to a room", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const arrived = next(io, "connection");
  const socket = client(t, url);
  const [server] = await arrived;
  const bytes = new Uint8Array([0, 1, 2, 3, 4, 5, 6, 7]);
  const kinds = [
    Buffer.from(bytes),
    bytes,
    bytes.subarray(2, 6),
    new Uint16Array(bytes.buffer, 2, 2),
    bytes.buffer,
  ];
  for (const data of [...kinds, new DataView(bytes.buffer, 1, 3)]) {
    const expected = Buffer.from(
      ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : new Uint8Array(data),
    );
    for (const emit of [() => server.emit("res", data), () => io.to(server.id).emit("res", data)]) {
      const heard = next(socket, "res");
      emit();
      assert.deepEqual(Buffer.from((await heard)[0]), expected);
    }
  }
});

test("a queued small message retains no buffer larger than itself", async (t) => {
  const { url, app } = await startServer(t);
  const ann = await enter(t, url, "ann", "lobby");
  const raw = await connectRaw(t, url, "room=lobby");
  raw.ws.pause();
  const [, stalled] = app.roomcast.io.of("/").sockets.values();
  const { conn } = stalled as unknown as {
    conn: { writeBuffer: { options: { wsPreEncodedFrame: Buffer[] } }[] };
  };
  while (conn.writeBuffer.length === 0) await ann.ask("chat", "x".repeat(16_000));
  await ann.ask("chat", "small");
  const kept = conn.writeBuffer.at(-1)?.options.wsPreEncodedFrame[0];
  assert.equal(kept?.buffer.byteLength, kept?.length);
});

test("calls the callbacks of a large packet and of one written without options", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const arrived = next(io, "connection");
  client(t, url);
  const [{ conn }] = await arrived;
  await new Promise<void>((resolve) => conn.write(`2["res","${"x".repeat(2_000_000)}"]`, {}, resolve));
  await new Promise<void>((resolve) => conn.write('2["res","small"]', resolve));
});

test("keeps a reading client despite a large packet, but ends one that pings without reading the pongs", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const arrived = next(io, "connection");
  const socket = client(t, url);
  const [server] = await arrived;
  const heard = next(socket, "res");
  server.emit("res", Buffer.alloc(8_000_000));
  assert.equal((await heard)[0].length, 8_000_000);

  const pinging = next(io.engine, "connection");
  const raw = await openRaw(t, url, "", 3);
  const [{ transport }] = await pinging;
  raw.ws.pause();
  const gone = next(transport, "close");
  const flood = setInterval(
    () => raw.ws.readyState === raw.ws.OPEN && raw.send(...Array(20_000).fill("2")),
    1,
  );
  t.after(() => clearInterval(flood));
  await gone;
});

test("a member removed from the room by a listener does not receive the packet being sent", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  const sockets = [];
  const heard: string[] = [];
  for (const name of ["first", "second"]) {
    const arrived = next(io, "connection");
    client(t, url).on("res", () => heard.push(name));
    const [socket] = await arrived;
    socket.join("room");
    sockets.push(socket);
  }
  const [first, second] = sockets;
  first.onAnyOutgoing(() => second.leave("room"));
  io.to("room").emit("res", "x");
  await until(() => assert.equal(heard.length, 1));
  assert.deepEqual(heard, ["first"]);
});

test("messages are delivered with an application's own adapter", async (t) => {
  const { url, app } = await startServer(t);
  app.roomcast.io.adapter(class extends Adapter {} as never);
  const ann = await enter(t, url, "ann", "lobby");
  await ann.ask("chat", "over another adapter");
  await ann.hears("<= over another adapter");
});

test("a request keeps the properties that an application adds, and its own", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  for (const decorated of [true, false]) {
    io.engine.opts.allowRequest = (request: object, done: (error: null, success: boolean) => void) => {
      if (decorated) Object.assign(request, { user: "ann" });
      done(null, true);
    };
    const arrived = next(io, "connection");
    client(t, url, { query: { room: "a" } });
    const [socket] = await arrived;
    await new Promise(setImmediate);
    assert.equal(socket.request.user, decorated ? "ann" : undefined);
    assert.equal(socket.request.socket.remoteAddress, "127.0.0.1");
    assert.match(socket.request.url, /room=a/);
    assert.equal(Object.hasOwn(socket.handshake.query, "room"), true);
    assert.equal(Object.hasOwn(socket.handshake.query, "room"), true);
  }
});

test("uses the stock transport if compression is enabled", async (t) => {
  const { io, url } = await startEngine(t, "fast");
  io.engine.opts.perMessageDeflate = { threshold: 0 };
  (io.engine as never as { init(): void }).init();
  const arrived = next(io, "connection");
  const socket = client(t, url);
  const [server] = await arrived;
  assert.ok(!(server.conn.transport instanceof WebSocketTransport));
  const heard = next(socket, "res");
  io.emit("res", "x".repeat(10_000));
  assert.equal((await heard)[0].length, 10_000);
});

test("members that read lose no acked message to 200 stalled and 200 reset connections", async (t) => {
  const { url, app } = await startServer(t);
  const readers = await Promise.all(
    Array.from({ length: 5 }, (_, n) => enter(t, url, `reader${n}`, "lobby")),
  );
  const raws = await Promise.all(
    Array.from({ length: 400 }, (_, n) => connectRaw(t, url, `userId=raw${n}&room=lobby`)),
  );
  const [sender] = readers as [(typeof readers)[0]];
  const acked: string[] = [];
  for (let n = 0; n < 100; n++) {
    if (n === 20) for (const raw of raws.slice(0, 200)) raw.ws.pause();
    if (n === 40) for (const raw of raws.slice(200)) raw.ws.terminate();
    await Promise.all(
      Array.from({ length: 4 }, async (_, k) => {
        const text = `${n}.${k} ${"x".repeat(500)}`;
        const receipt = await sender.ask("chat", text);
        if (receipt.id) acked.push(`<= ${text}`);
      }),
    );
  }
  assert.equal(acked.length, 400);
  // The last messages are acked while the server closes: acked messages are written before the connections
  // end.
  const last = Array.from({ length: 50 }, (_, k) =>
    sender.ask("chat", `last ${k}`).then(
      () => acked.push(`<= last ${k}`),
      () => {},
    ),
  );
  const gone = readers.map(({ socket }) => next(socket, "disconnect"));
  await Promise.race(last);
  await app.close();
  await Promise.all(gone);
  for (const { texts } of readers) {
    const heard = new Set(texts);
    assert.deepEqual(
      acked.filter((text) => !heard.has(text)),
      [],
    );
  }
});
