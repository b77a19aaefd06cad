import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Message } from "../src/protocol.ts";
import { connect, enter, type Member, next } from "./support/client.ts";
import { generations } from "./support/generations.ts";
import { logged, refusal } from "./support/recovery.ts";
import { startServer } from "./support/server.ts";

/** What a client receives as an event that is named by its own id. */
function whispersTo({ socket }: Member): Message[] {
  const heard: Message[] = [];
  (socket as unknown as { on(event: string, listener: (message: Message) => void): void }).on(
    String(socket.id),
    (message) => heard.push(message),
  );
  return heard;
}

describe("tell", () => {
  test("reaches every connection of a user in the namespace, and nobody else", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const tabs = [await enter(t, url, "bob", "lobby"), await connect(t, url, { auth: { userId: "bob" } })];
    const others = [ann, await enter(t, `${url}/chat`, "bob", "lobby"), await enter(t, url, "cat", "lobby")];
    const { id, recipients } = await ann.ask("tell", "bob", "psst");
    assert.equal(recipients, 2);
    for (const tab of tabs) {
      const { at, ...message } = await tab.hears("psst");
      assert.deepEqual(message, {
        ...{ id, type: "tell", userId: "ann", text: "psst", state: "normal", namespace: "/" },
        ...{ room: null, rooms: [], to: "bob", offset: null },
      });
    }
    for (const other of others) {
      await other.settled();
      assert.ok(!other.texts.includes("psst"));
    }
    assert.deepEqual((await ann.ask("history", "lobby")).messages, []);
    assert.equal(await ann.ask("bye"), "");
  });

  test("to a user that is not there, or no longer, reaches no one", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const tabs = [1, 2, 3].map(() => enter(t, url, "bob", "lobby"));
    for (const [gone, tab] of (await Promise.all(tabs)).entries()) {
      await tab.ask("bye");
      assert.equal((await ann.ask("tell", "bob", "psst")).recipients, 2 - gone);
    }
    assert.equal((await ann.ask("tell", "ann", "to myself")).recipients, 1);
    for (const args of [["", "x"], ["bob"], ["bob", 7], [7, "x"]])
      assert.equal((await ann.ask("tell", ...args)).error.code, "bad_payload");
  });
});

describe("whisper", () => {
  test("reaches one connection, as an event named by its own id", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const bob = await enter(t, url, "bob", "lobby");
    const tab = await enter(t, url, "bob", "lobby");
    const [heard, overheard] = [whispersTo(bob), whispersTo(tab)];
    const to = String(bob.socket.id);
    const { id, recipients } = await ann.ask("whisper", to, "psst");
    await Promise.all([bob.settled(), tab.settled()]);
    assert.equal(recipients, 1);
    assert.deepEqual(
      heard.map(({ at, ...message }) => message),
      [
        {
          ...{ id, type: "whisper", userId: "ann", text: "psst", state: "normal", namespace: "/" },
          ...{ room: null, rooms: [], to, offset: null },
        },
      ],
    );
    assert.deepEqual([overheard, logged(bob), bob.texts.includes("psst")], [[], [], false]);
    assert.equal((await ann.ask("whisper", "bob", "a userId is no connection")).recipients, 0);
    await bob.ask("bye");
    assert.equal((await ann.ask("whisper", to, "gone")).recipients, 0);
  });

  for (const { version, connect } of generations) {
    for (const namespace of ["/", "/chat"]) {
      test(`reaches a client ${version} on ${namespace} by the id that others see`, async (t: TestContext) => {
        const { url } = await startServer(t);
        const ann = await enter(t, url + namespace, "ann", "lobby");
        const bob = connect(url + namespace, {
          forceNew: true,
          transports: ["websocket"],
          query: { room: "lobby" },
        });
        t.after(() => bob.disconnect());
        const [greeting] = await next(bob, "res");
        const joined = await ann.hears(`<= ${greeting.userId} join lobby`);
        // 1.2 clients know the id of their session only.
        const { id = bob.io.engine.id } = bob as { id?: string };
        const whispered = next(bob, id);
        const { recipients } = await ann.ask("whisper", joined.userId, "psst");
        assert.equal(recipients, 1);
        const [{ text, type, to }] = await whispered;
        assert.deepEqual([text, type, to], ["psst", "whisper", joined.userId]);
        // The socket ids of older clients are secret.
        if (version < "3") assert.notEqual(joined.userId, id);
      });
    }
  }
});

test("a userId that is the id of another live connection is refused", async (t) => {
  const { url } = await startServer(t);
  const ann = await connect(t, url, { auth: { room: "lobby" } });
  const { code } = await refusal(t, url, { userId: String(ann.socket.id) });
  assert.equal(code, "forbidden");
});
