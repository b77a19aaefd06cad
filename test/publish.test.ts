import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, enter, type Member } from "./support/client.ts";
import { connectRaw } from "./support/raw.ts";
import { isLogged, logged, numbered, say } from "./support/recovery.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

const data = ({ messages }: Member) =>
  messages.filter(({ type }) => type === "publish").map(({ data }) => data);
const nested = (depth: number) => JSON.parse("[".repeat(depth) + "]".repeat(depth));

describe("publish", () => {
  test("sends any JSON value to a room with an empty text, logs it and acks like chat", async (t) => {
    const { url } = await startServer(t);
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["lobby", "den"] } });
    const bob = await enter(t, url, "bob", "lobby");
    const { id, offsets, ...receipt } = await ann.ask("publish", "lobby", { x: 1 });
    assert.deepEqual(receipt, { rooms: ["lobby"], recipients: 2, duplicate: false });
    await bob.settled();
    const message = bob.messages.find(({ type }) => type === "publish");
    assert.deepEqual(
      { ...message, at: 0 },
      {
        ...{ id, type: "publish", userId: "ann", text: "", data: { x: 1 }, state: "normal", namespace: "/" },
        ...{ room: "lobby", rooms: ["lobby"], at: 0, offset: offsets.lobby },
      },
    );
    for (const value of [null, 0, "", false, [], "text", 1.5e-7]) await ann.ask("publish", "lobby", value);
    await bob.settled();
    assert.deepEqual(data(bob), [{ x: 1 }, null, 0, "", false, [], "text", 1.5e-7]);
    assert.equal(await ann.ask("bye"), "");
  });

  test("treats __proto__ as a key and as a room like any other", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "__proto__");
    const value = JSON.parse('{"__proto__":{"admin":true},"constructor":{"prototype":1},"toJSON":"x"}');
    const { offsets } = await ann.ask("publish", "__proto__", value, { id: "1" });
    const again = await ann.ask("publish", "__proto__", value, { id: "1" });
    await ann.settled();
    const { messages } = await ann.ask("history", "__proto__");
    const texts = [data(ann)[0], messages[0].data].map((item) => JSON.stringify(item));
    assert.deepEqual(texts, [JSON.stringify(value), JSON.stringify(value)]);
    assert.deepEqual(Object.keys(offsets), ["__proto__"]);
    assert.equal(JSON.stringify(again.offsets), JSON.stringify(offsets));
    assert.equal(({} as { admin?: unknown }).admin, undefined);
  });

  test("refuses missing data, binary data and data that is nested too deep", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const refused = async (...args: unknown[]) => (await ann.ask("publish", "lobby", ...args)).error?.code;
    assert.equal(await refused(), "bad_payload");
    assert.equal(await refused(nested(65)), "bad_payload");
    assert.equal(await refused(nested(64)), undefined);
    assert.equal(await refused({ a: nested(64) }), "bad_payload");
    for (const options of [7, "x", [], { id: "" }, { id: "x".repeat(65) }, { id: 1 }, { transient: 1 }])
      assert.equal(await refused({}, options), "bad_payload", JSON.stringify(options));
    const raw = await connectRaw(t, url, "room=lobby");
    raw.send('451-1["publish","lobby",{"_placeholder":true,"num":0}]', Buffer.from("x"));
    raw.send('451-2["publish","lobby",{"a":{"_placeholder":true,"num":0}}]', Buffer.from("x"));
    for (const id of [1, 2]) assert.match(await raw.receives(new RegExp(`^43${id}`)), /bad_payload/);
    assert.equal((await ann.ask("history", "lobby")).messages.length, 1);
  });

  test("limits the size of the data in bytes of JSON", async (t) => {
    const { url } = await startServer(t, { maxTextChars: 100 });
    const ann = await enter(t, url, "ann", "lobby");
    const codeOf = async (value: unknown) => (await ann.ask("publish", "lobby", value)).error?.code;
    assert.equal(await codeOf("x".repeat(98)), undefined);
    assert.equal(await codeOf("x".repeat(99)), "too_large");
    assert.equal(await codeOf("é".repeat(49)), undefined);
    assert.equal(await codeOf("é".repeat(50)), "too_large");
    assert.equal(await codeOf("x".repeat(100_000)), "too_large");
  });

  test("is refused outside the room", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    assert.equal((await ann.ask("publish", "den", 1)).error.code, "not_in_room");
  });

  test("of a transient message is heard but neither logged nor counted", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const { offsets, recipients, rooms } = await ann.ask("publish", "lobby", "typing", { transient: true });
    assert.deepEqual([offsets, recipients, rooms], [{}, 1, ["lobby"]]);
    await ann.settled();
    assert.deepEqual(ann.messages.at(-1)?.offset, null);
    await say(ann, "lobby", "hi");
    assert.deepEqual(logged(ann), ["1 hi"]);
    assert.deepEqual((await ann.ask("history", "lobby")).messages.length, 1);
  });

  test("of a transient message is dropped only for a client that is backed up", async (t) => {
    const { url } = await startServer(t, { historySize: 2_000, eventsBurst: 5_000 });
    const ann = await enter(t, url, "ann", "lobby");
    const raw = await connectRaw(t, url, "room=lobby&userId=raw");
    raw.ws.pause();
    // More than the kernel buffers.
    for (let n = 0; n < 700; n++) await ann.ask("chat", "x".repeat(16_000));
    await ann.ask("publish", "lobby", "typing", { transient: true });
    await ann.ask("publish", "lobby", "important");
    await ann.settled();
    assert.deepEqual(data(ann), ["typing", "important"]);
    raw.ws.resume();
    await raw.receives(/important/);
    assert.ok(!raw.frames.some((frame) => frame.includes("typing")));
  });
});

describe("an id", () => {
  test("that the user has sent before is acked as a duplicate and sends nothing", async (t) => {
    const { url } = await startServer(t);
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["lobby", "den"] } });
    const first = await ann.ask("chat", "hi", { id: "1" });
    const duplicate = { ...first, recipients: 0, duplicate: true };
    assert.deepEqual(await ann.ask("chat", "another text", { id: "1" }), duplicate);
    assert.deepEqual(await ann.ask("publish", "den", "data", { id: "1" }), duplicate);
    const tab = await enter(t, url, "ann", "attic");
    assert.deepEqual(await tab.ask("chat", "hi", { id: "1", room: "lobby" }), duplicate);
    await ann.settled();
    assert.deepEqual(logged(ann), ["1 hi", "1 hi"]);
    assert.equal(await ann.ask("bye"), "<= hi");
  });

  test("is another one for other users, other namespaces and other ids", async (t) => {
    const { url } = await startServer(t);
    const senders = [
      ...[await enter(t, url, "ann", "lobby"), await enter(t, url, "bob", "lobby")],
      ...[await enter(t, `${url}/chat`, "ann", "lobby"), await enter(t, url, "a", "lobby")],
    ];
    const ids = ["1", "1", "1", "nn1"];
    const receipts = await Promise.all(senders.map((sender, n) => sender.ask("chat", "hi", { id: ids[n] })));
    assert.deepEqual(
      receipts.map(({ duplicate }) => duplicate),
      [false, false, false, false],
    );
  });

  test("is not consumed by a refused attempt", async (t) => {
    const { url } = await startServer(t, { maxTextChars: 100 });
    const ann = await enter(t, url, "ann", "lobby");
    assert.equal((await ann.ask("chat", "hi", { id: "1", room: "den" })).error.code, "not_in_room");
    assert.equal((await ann.ask("chat", "x".repeat(101), { id: "1" })).error.code, "too_large");
    assert.equal((await ann.ask("publish", "lobby", nested(65), { id: "1" })).error.code, "bad_payload");
    assert.equal((await ann.ask("chat", "hi", { id: "1" })).duplicate, false);
  });

  test("twice in one packet is said once", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const attempts = numbered(3).map((text) => ann.ask("chat", text, { id: "1", room: "lobby" }));
    const receipts = await Promise.all(attempts);
    assert.deepEqual(
      receipts.map(({ duplicate }) => duplicate),
      [false, true, true],
    );
    await ann.settled();
    assert.deepEqual(ann.messages.filter(isLogged).length, 1);
  });

  test("is forgotten after its time", async (t) => {
    const { url } = await startServer(t, { dedupTimeMs: 50 });
    const ann = await enter(t, url, "ann", "lobby");
    const first = await ann.ask("publish", "lobby", 1, { id: "1" });
    await until(async () => {
      const { duplicate, id } = await ann.ask("publish", "lobby", 1, { id: "1" });
      assert.equal(duplicate, false);
      assert.notEqual(id, first.id);
    });
  });

  test("of the wrong shape is refused, and a room as the second argument still works", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    for (const options of [
      { id: "" },
      { id: "x".repeat(65) },
      { id: 7 },
      { room: "" },
      { room: 1 },
      [],
      7,
      "",
    ])
      assert.equal(
        (await ann.ask("chat", "hi", options)).error?.code,
        "bad_payload",
        JSON.stringify(options),
      );
    assert.deepEqual((await ann.ask("chat", "hi", "lobby")).rooms, ["lobby"]);
    assert.deepEqual((await ann.ask("chat", "hi", { id: null, room: null })).rooms, ["lobby"]);
  });
});
