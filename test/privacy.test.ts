import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, enter } from "./support/client.ts";
import { startServer } from "./support/server.ts";

test("a connection receives nothing from rooms it is not in", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, url, "ann", "lobby");
  const bob = await enter(t, url, "bob", "den");
  await ann.ask("chat", "to the lobby");
  await ann.ask("join", "attic");
  await ann.ask("leave", "attic");
  await ann.ask("bye");
  await bob.settled();
  assert.deepEqual(bob.texts, ["connected!", "<= bob join den"]);
});

test("members of a room named after another's socket id, userId or key receive nothing meant for them", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, url, "ann", "lobby");
  const spy = await connect(t, url);
  const overheard: unknown[] = [];
  spy.socket.on("reply", (text) => overheard.push(text));
  spy.socket.on("bye", (context) => overheard.push(context));
  for (const name of [String(ann.socket.id), "ann", "room:lobby", `room:${ann.socket.id}`]) {
    assert.equal((await spy.ask("join", name)).members, 1);
  }
  await spy.ask("chat", "can anyone hear me?");
  await ann.ask("notice", "to myself");
  await ann.ask("chat", "to the lobby");
  assert.deepEqual(ann.texts, ["connected!", "<= ann join lobby", "<= to the lobby"]);
  await ann.ask("bye");
  await spy.settled();
  assert.deepEqual(overheard, ["have settled"]);
  assert.ok(spy.messages.every(({ userId }) => userId === spy.socket.id));
});

test("a room name with a comma does not address two rooms", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, url, "ann", "a");
  const bob = await enter(t, url, "bob", "a,b");
  await bob.ask("chat", "hello");
  await ann.settled();
  assert.deepEqual(ann.texts, ["connected!", "<= ann join a"]);
});
