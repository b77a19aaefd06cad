import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { handshakeOf } from "../src/socketio/handshake.ts";
import type { SocketIOClient } from "../src/socketio/server.ts";
import { client, connect, enter, next } from "./support/client.ts";
import { connectRaw, engineUrl, openRaw } from "./support/raw.ts";
import { startServer } from "./support/server.ts";

test("a connection without a userId uses its socket id", async (t) => {
  const { url } = await startServer(t);
  const { socket, messages } = await connect(t, url);
  assert.equal(messages[0]?.userId, socket.id);
  assert.deepEqual(messages[0]?.rooms, []);
});

test("auth overrides the query", async (t) => {
  const { url } = await startServer(t);
  const { messages } = await connect(t, url, {
    query: { userId: "from-query", room: "query-room" },
    auth: { userId: "from-auth", room: ["one", "two"] },
  });
  assert.equal(messages[0]?.userId, "from-auth");
  assert.deepEqual(messages[0]?.rooms, ["one", "two"]);
});

test("a null in auth counts as missing", async (t) => {
  const { url } = await startServer(t);
  const { messages } = await connect(t, url, {
    query: { userId: "ann", room: "lobby" },
    auth: { userId: null, room: null },
  });
  assert.deepEqual([messages[0]?.userId, messages[0]?.rooms], ["ann", ["lobby"]]);
});

test("the namespaces of a connection share its query but not its auth", async (t) => {
  const { url } = await startServer(t);
  const root = await enter(t, url, "ann", "lobby");
  const chat = root.socket.io.socket("/chat", { auth: { room: "den" } });
  const [greeting] = await next(chat, "res");
  assert.deepEqual([greeting.userId, greeting.rooms], ["ann", ["den"]]);
});

test("Engine.IO uses the last of a repeated query key, over both transports", async (t) => {
  const { url, app } = await startServer(t);
  const overWebSocket = next(app.roomcast.io.engine, "connection");
  await openRaw(t, url, "EIO=4", 3);
  assert.equal((await overWebSocket)[0].protocol, 4);
  const overPolling = next(app.roomcast.io.engine, "connection");
  await fetch(engineUrl(url, "polling", "EIO=4", 3));
  assert.equal((await overPolling)[0].protocol, 4);
});

test("query.room may be repeated, and a room named twice is joined once", async (t) => {
  const { url } = await startServer(t);
  const raw = await connectRaw(t, url, "room=a&room=b&room=a");
  assert.match(await raw.receives(/connected!/), /"rooms":\["a","b"\]/);
});

test("a long query with many question marks is read in linear time", () => {
  const url = `/socket.io/?${"?room=".repeat(2_500)}`;
  const handshake = { query: {}, auth: {}, headers: {}, url };
  const start = performance.now();
  for (let n = 0; n < 100; n++) handshakeOf({ conn: { protocol: 4 }, handshake } as SocketIOClient);
  const ms = performance.now() - start;
  assert.ok(ms < 500, `100 handshakes took ${Math.round(ms)} ms`);
});

describe("refuses a handshake with a message:", () => {
  const long = "x".repeat(129);
  const cases: [title: string, options: object, code: string, message: RegExp][] = [
    ["an empty userId", { query: { userId: "" } }, "bad_payload", /^userId: expected 1 to 128.*got an empty/],
    ["an empty room", { query: { room: "" } }, "bad_payload", /^room: expected/],
    [
      "a userId of 129 characters",
      { query: { userId: long } },
      "bad_payload",
      /^userId:.*a string of length 129/,
    ],
    ["a room of 129 characters", { auth: { room: long } }, "bad_payload", /^room:.*a string of length 129/],
    ["a userId that is a number", { auth: { userId: 7 } }, "bad_payload", /^userId:.*got a number/],
    ["a userId that is an array", { auth: { userId: ["ann"] } }, "bad_payload", /^userId:.*got an array/],
    ["a room that is an object", { auth: { room: {} } }, "bad_payload", /^room:.*got an object/],
    ["a room inside two arrays", { auth: { room: [["a"]] } }, "bad_payload", /^room:.*got an array/],
    ["a null among rooms", { auth: { room: ["a", null] } }, "bad_payload", /^room:.*got null/],
    ["a control character", { auth: { userId: "ann\u0007" } }, "bad_payload", /control character/],
    ["a lone surrogate", { auth: { room: "\ud83d" } }, "bad_payload", /surrogate/],
    [
      "more rooms than allowed",
      { auth: { room: Array.from({ length: 201 }, (_, i) => `r${i}`) } },
      "too_many_rooms",
      /at most 200 rooms/,
    ],
  ];
  for (const [title, options, code, message] of cases) {
    for (const namespace of ["/", "/chat"]) {
      test(`${title}, on ${namespace}`, async (t) => {
        const { url } = await startServer(t);
        const [error] = await next(client(t, url + namespace, options), "connect_error");
        assert.equal(error.data.code, code);
        assert.match(error.data.message, message);
        assert.equal(error.message, error.data.message);
      });
    }
  }

  test("two userIds in one query", async (t) => {
    const { url } = await startServer(t);
    const raw = await openRaw(t, url, "userId=a&userId=b");
    raw.send("40");
    assert.match(await raw.receives(/^44/), /"bad_payload".*userId: .*got an array/);
  });

  test("a namespace that does not exist", async (t) => {
    const { url } = await startServer(t);
    const [error] = await next(client(t, `${url}/nowhere`), "connect_error");
    assert.equal(error.message, "Invalid namespace");
  });
});

test("accepts names of 128 characters, of emoji and of Object's own properties", async (t) => {
  const { url } = await startServer(t);
  for (const name of [
    "👩‍🚀".repeat(42),
    "__proto__",
    "constructor",
    "toString",
    "a:b",
    "ünï",
    "x".repeat(128),
  ]) {
    const member = await enter(t, url, name, name);
    await member.hears(`<= ${name} join ${name}`);
    assert.equal((await member.ask("chat", "hi", name)).recipients, 1);
    assert.deepEqual(await member.ask("leave", name), { room: name, rooms: [], members: 0 });
  }
});
