import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Message } from "../src/protocol.ts";
import { connect, enter, next } from "./support/client.ts";
import { startServer } from "./support/server.ts";

const brief = ({ userId, text, state, room, rooms }: Message) => ({ userId, text, state, room, rooms });

for (const namespace of ["/", "/chat"] as const) {
  describe(`on ${namespace}`, () => {
    test("a new connection is greeted with its rooms, and its joins are announced there", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      const joined = await ann.hears("<= bob join lobby");
      await bob.settled();
      assert.deepEqual(bob.messages.map(brief), [
        { userId: "bob", text: "connected!", state: "notice", room: null, rooms: ["lobby"] },
        { userId: "bob", text: "<= bob join lobby", state: "state", room: "lobby", rooms: ["lobby"] },
      ]);
      assert.deepEqual(joined, bob.messages[1]);
      assert.equal(joined.namespace, namespace);
      assert.ok(Math.abs(Date.now() - joined.at) < 60_000);
    });

    test("acks a join with the room, all rooms and the number of members", async (t) => {
      const { url } = await startServer(t);
      await enter(t, url + namespace, "ann", "den");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      const { offset, ...joined } = await bob.ask("join", "den");
      assert.deepEqual(joined, {
        room: "den",
        rooms: ["lobby", "den"],
        members: 2,
        status: "new",
        missed: 0,
      });
      assert.match(offset, /^\w+:0$/);
      assert.deepEqual(brief(await bob.hears("<= bob join den")), {
        userId: "bob",
        text: "<= bob join den",
        state: "state",
        room: "den",
        rooms: ["lobby", "den"],
      });
    });

    test("acks a repeated join without announcing it", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const { rooms, members } = await ann.ask("join", "lobby");
      assert.deepEqual({ rooms, members }, { rooms: ["lobby"], members: 1 });
      await ann.settled();
      assert.deepEqual(ann.texts, ["connected!", "<= ann join lobby"]);
    });

    test("announces a leave to the remaining members but not to the leaver", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      assert.deepEqual(await bob.ask("leave", "lobby"), { room: "lobby", rooms: [], members: 1 });
      const left = await ann.hears("<= bob leave lobby");
      assert.deepEqual([left.state, left.room, left.rooms], ["state", "lobby", ["lobby"]]);
      await bob.settled();
      assert.ok(!bob.texts.includes("<= bob leave lobby"));
    });

    test("a connection that left a room receives nothing more from it", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      await bob.ask("leave", "lobby");
      await ann.ask("chat", "are you there?");
      await bob.settled();
      assert.ok(!bob.texts.includes("<= are you there?"));
    });

    test("leaving a room without being in it fails and is not announced", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "den");
      const { error } = await bob.ask("leave", "lobby");
      assert.equal(error.code, "not_in_room");
      await ann.settled();
      assert.deepEqual(ann.texts, ["connected!", "<= ann join lobby"]);
    });

    test("delivers a chat once per shared room, always with the same id", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      for (const member of [ann, bob]) await member.ask("join", "den");
      const receipt = await ann.ask("chat", "hello");
      await bob.settled();
      for (const member of [ann, bob]) {
        const copies = member.messages.filter(({ text }) => text === "<= hello");
        assert.deepEqual(
          copies.map(({ id, state, room, rooms }) => [id, state, room, rooms]),
          ["lobby", "den"].map((room) => [receipt.id, "normal", room, ["lobby", "den"]]),
        );
      }
      const { id, offsets, ...rest } = receipt;
      assert.deepEqual(rest, { rooms: ["lobby", "den"], recipients: 4, duplicate: false });
      const seen = bob.messages.filter(({ text }) => text === "<= hello");
      assert.deepEqual(offsets, Object.fromEntries(seen.map(({ room, offset }) => [room, offset])));
    });

    test("delivers a chat to one room in that room only", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      await ann.ask("join", "den");
      const receipt = await ann.ask("chat", "psst", "den");
      assert.deepEqual([receipt.rooms, receipt.recipients], [["den"], 1]);
      await bob.settled();
      assert.ok(!bob.texts.includes("<= psst"));
    });

    test("a chat to a room without being in it fails and is not delivered", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "den");
      assert.equal((await bob.ask("chat", "let me in", "lobby")).error.code, "not_in_room");
      await ann.settled();
      assert.ok(!ann.texts.includes("<= let me in"));
    });

    test("a chat without rooms reaches nobody but still becomes the context", async (t) => {
      const { url } = await startServer(t);
      const ann = await connect(t, url + namespace);
      const receipt = await ann.ask("chat", "hello?");
      assert.deepEqual([receipt.rooms, receipt.recipients], [[], 0]);
      assert.equal(await ann.ask("bye"), "<= hello?");
    });

    test("the optional room of a chat may be null, which is how JSON encodes undefined", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      assert.deepEqual((await ann.ask("chat", "hi", undefined)).rooms, ["lobby"]);
    });

    test("answers a notice to the sender only", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      const overheard: string[] = [];
      bob.socket.on("reply", (text) => overheard.push(text));
      const reply = next(ann.socket, "reply");
      assert.equal(await ann.ask("notice", "this"), "have this");
      assert.deepEqual(await reply, ["have this"]);
      await bob.settled();
      assert.deepEqual(overheard, ["have settled"]);
    });

    test("bye returns the context, is acked with its text, is announced to the rooms and disconnects", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      await bob.ask("join", "den");
      await bob.ask("chat", "so long", "den");
      const order: string[] = [];
      const bye = next(bob.socket, "bye").then(([context]) => {
        order.push("bye");
        return context;
      });
      const gone = next(bob.socket, "disconnect");
      assert.equal(await bob.ask("bye"), "<= so long");
      order.push("ack");
      const context = await bye;
      assert.deepEqual([context.text, context.room, context.rooms], ["<= so long", null, ["den"]]);
      assert.equal((await gone)[0], "io server disconnect");
      assert.deepEqual(order, ["bye", "ack"]);
      const leaved = await ann.hears("<= bob leaved");
      assert.deepEqual([leaved.state, leaved.room, leaved.rooms], ["state", "lobby", ["lobby"]]);
      await ann.settled();
      assert.ok(!ann.texts.includes("disconnected!"));
      assert.ok(!bob.texts.includes("<= bob leaved"));
    });

    test("messages name all rooms of the member to itself, but only the room concerned to others", async (t) => {
      const { url } = await startServer(t);
      const rooms = ["lobby", "den", "attic"];
      const ann = await connect(t, url + namespace, { auth: { userId: "ann", room: rooms } });
      const move = async (last: "bye" | "disconnect", transports: ["polling"] | ["websocket"]) => {
        const auth = { userId: last, room: ["lobby", "den"] };
        const bob = await connect(t, url + namespace, { auth, transports });
        await bob.ask("join", "attic");
        await bob.ask("leave", "attic");
        if (last === "bye") await bob.ask("bye");
        else bob.socket.disconnect();
        return bob.messages.map(({ text, room, rooms }) => [text, room, rooms]);
      };
      const own = (name: string) => [
        ["connected!", null, ["lobby", "den"]],
        [`<= ${name} join lobby`, "lobby", ["lobby"]],
        [`<= ${name} join den`, "den", ["den"]],
        [`<= ${name} join attic`, "attic", rooms],
      ];
      assert.deepEqual(await move("bye", ["websocket"]), own("bye"));
      assert.deepEqual(await move("disconnect", ["polling"]), own("disconnect"));
      await ann.hears("disconnected!");
      await ann.settled();
      const heard = ann.messages.filter(({ userId }) => userId !== "ann");
      assert.equal(heard.length, 12);
      for (const message of heard) assert.deepEqual(message.rooms, [message.room]);
    });

    test("bye before any message has no context", async (t) => {
      const { url } = await startServer(t);
      const ann = await connect(t, url + namespace);
      const bye = next(ann.socket, "bye");
      assert.equal(await ann.ask("bye"), "");
      assert.deepEqual(await bye, [null]);
    });

    test("a connection that returns after bye starts without a context", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      await ann.ask("chat", "before");
      const gone = next(ann.socket, "disconnect");
      await ann.ask("bye");
      await gone;
      const back = next(ann.socket, "connect");
      ann.socket.connect();
      await back;
      assert.equal(await ann.ask("bye"), "");
    });

    test("announces a connection lost without bye to each of its rooms", async (t) => {
      const { url } = await startServer(t);
      const ann = await enter(t, url + namespace, "ann", "lobby");
      const bob = await enter(t, url + namespace, "bob", "lobby");
      bob.socket.disconnect();
      const lost = await ann.hears("disconnected!");
      assert.deepEqual(brief(lost), {
        userId: "bob",
        text: "disconnected!",
        state: "notice",
        room: "lobby",
        rooms: ["lobby"],
      });
    });

    test("an unknown event fails in its ack or as the event error", async (t) => {
      const { url } = await startServer(t);
      const ann = await connect(t, url + namespace);
      const { error } = await ann.ask("shout", "hey");
      assert.equal(error.code, "unknown_event");
      assert.match(error.message, /accepts only join, leave, chat, notice, bye/);
      const told = next(ann.socket, "error");
      ann.tell("shout");
      assert.deepEqual(await told, [{ event: "shout", error }]);
    });
  });
}

test("msg is acked and becomes the context on /chat, and is unknown on /", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, `${url}/chat`, "ann", "lobby");
  assert.equal(await ann.ask("msg", "note to self"), "recv note to self");
  const bye = next(ann.socket, "bye");
  assert.equal(await ann.ask("bye"), "note to self");
  const [context] = await bye;
  assert.deepEqual([context.text, context.room, context.rooms], ["note to self", null, []]);

  const root = await connect(t, url);
  assert.equal((await root.ask("msg", "hello")).error.code, "unknown_event");
});

test("rooms of the same name on / and /chat are separate", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, url, "ann", "lobby");
  const bob = await enter(t, `${url}/chat`, "bob", "lobby");
  assert.equal((await bob.ask("chat", "anyone?")).recipients, 1);
  await ann.settled();
  assert.deepEqual(ann.texts, ["connected!", "<= ann join lobby"]);
});

test("message ids are unique and sort in sending order", async (t) => {
  const { url } = await startServer(t);
  const ann = await connect(t, url);
  const receipts = await Promise.all(Array.from({ length: 500 }, (_, i) => ann.ask("chat", String(i))));
  const ids = receipts.map(({ id }) => id);
  assert.equal(new Set(ids).size, 500);
  assert.deepEqual(ids.toSorted(), ids);
});
