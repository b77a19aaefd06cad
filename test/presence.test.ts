import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Core } from "../src/core.ts";
import type { Presence } from "../src/protocol.ts";
import type { Rooms } from "../src/rooms/rooms.ts";
import { connect, enter, next } from "./support/client.ts";
import { generations } from "./support/generations.ts";
import { cores } from "./support/in-process.ts";
import { enterBy, ways } from "./support/raw.ts";
import { startServer } from "./support/server.ts";

const online = (userId: string, total: number) => ({ room: "lobby", userId, online: true, total });
const offline = (userId: string, total: number) => ({ room: "lobby", userId, online: false, total });

/** The rooms of `/`. */
const coreRooms = (url: string) => (cores.get(url) as Core).dispatchers[0]?.namespace.rooms as Rooms;

/** A member that watches the lobby and records what it is told. */
async function watcher(t: TestContext, url: string) {
  const ann = await enter(t, url, "ann", "lobby");
  const events: Presence[] = [];
  ann.socket.on("presence", (event) => events.push(event));
  return { ann, events, users: await ann.ask("watch", "lobby") };
}

describe("who", () => {
  test("lists the users of a room with their connections, and counts them", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    await enter(t, url, "bob", "lobby");
    await enter(t, url, "ann", "lobby");
    await enter(t, url, "cat", "den");
    const users = [
      { userId: "ann", connections: 2 },
      { userId: "bob", connections: 1 },
    ];
    assert.deepEqual(await ann.ask("who", "lobby"), { room: "lobby", users, total: 2 });
    assert.deepEqual(await ann.ask("watch", "lobby"), { room: "lobby", users, total: 2 });
  });

  test("is, like watch, for members only, while unwatch is always acked", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    for (const event of ["who", "watch", "history"])
      assert.equal((await ann.ask(event, "den")).error.code, "not_in_room", event);
    assert.deepEqual(await ann.ask("unwatch", "den"), { room: "den" });
    for (const event of ["who", "watch", "unwatch"])
      assert.equal((await ann.ask(event, "")).error.code, "bad_payload", event);
  });

  test("lists 1,000 users at most and counts all", async (t) => {
    const { url } = await startServer(t, { maxConnectionsPerAddress: 2_000 });
    const ann = await enter(t, url, "ann", "lobby");
    const rooms = coreRooms(url);
    const entrance = { room: "lobby", announcement: undefined, isForOthers: true, entered() {} };
    for (let n = 0; n < 1_005; n++) {
      const member = { id: `${n}`, userId: `u${n}`, rooms: [], gateway: { deliver() {} } } as never;
      rooms.hub.add(member);
      await rooms.enter(member, [entrance]);
    }
    const { users, total } = await ann.ask("who", "lobby");
    assert.deepEqual([users.length, total], [1_000, 1_006]);
  });
});

describe("presence", () => {
  test("reports the first connection of a user and the last one that leaves, with the total after it", async (t) => {
    const { url } = await startServer(t);
    const { ann, events } = await watcher(t, url);
    const tabs = [await enter(t, url, "bob", "lobby"), await enter(t, url, "bob", "lobby")];
    const cat = await enter(t, url, "cat", "lobby");
    await tabs[0]?.ask("leave", "lobby");
    await cat.ask("bye");
    await tabs[1]?.ask("leave", "lobby");
    await ann.settled();
    assert.deepEqual(events, [online("bob", 2), online("cat", 3), offline("cat", 2), offline("bob", 1)]);
  });

  test("of a client that disconnects by itself ends at once, whatever the transport", async (t) => {
    const { url } = await startServer(t, { presenceGraceMs: 600_000 });
    const { ann, events } = await watcher(t, url);
    for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
      const bob = await connect(t, url, { transports, query: { userId: "bob", room: "lobby" } });
      bob.tell("chat", "a last word");
      bob.socket.disconnect();
      await ann.hears("disconnected!");
      ann.messages.length = 0;
    }
    await ann.settled();
    assert.deepEqual(
      events,
      [1, 2, 3].flatMap(() => [online("bob", 2), offline("bob", 1)]),
    );
  });

  for (const { version, connect } of generations) {
    test(`of a client ${version} that disconnects by itself ends at once`, async (t) => {
      const { url } = await startServer(t, { presenceGraceMs: 600_000 });
      const { ann, events } = await watcher(t, url);
      const bob = connect(url, { forceNew: true, query: { userId: "bob", room: "lobby" } });
      await next(bob, "res");
      bob.disconnect();
      await ann.hears("disconnected!");
      await ann.settled();
      assert.deepEqual(events, [online("bob", 2), offline("bob", 1)]);
    });
  }

  test("of a lost user lasts for the grace, with no connections but counted", async (t) => {
    const { url } = await startServer(t, { presenceGraceMs: 300 });
    const { ann, events } = await watcher(t, url);
    for (const way of ways) {
      const bob = await enterBy(t, url, way, 4, "userId=bob&room=lobby");
      await ann.hears("<= bob join lobby");
      const gone = next(ann.socket, "presence");
      await bob.lose();
      // A polling client is lost only when it does not answer a ping.
      if (way === "polling") await bob.send("1");
      await ann.hears("disconnected!");
      const { users, total } = await ann.ask("who", "lobby");
      assert.deepEqual([users.at(-1), total], [{ userId: "bob", connections: 0 }, 2]);
      assert.deepEqual((await ann.ask("watch", "lobby")).total, 2);
      await gone;
      assert.equal((await ann.ask("who", "lobby")).total, 1);
      ann.messages.length = 0;
    }
    assert.deepEqual(
      events,
      [1, 2, 3].flatMap(() => [online("bob", 2), offline("bob", 1)]),
    );
  });

  test("says nothing of a user that comes back within the grace, and starts the next grace anew", async (t) => {
    const { url } = await startServer(t, { presenceGraceMs: 400 });
    const { ann, events } = await watcher(t, url);
    const lose = async () => {
      const bob = await enterBy(t, url, "websocket", 4, "userId=bob&room=lobby");
      await ann.hears("<= bob join lobby");
      await bob.lose();
      await ann.hears("disconnected!");
      ann.messages.length = 0;
    };
    for (let n = 0; n < 4; n++) await lose();
    const bob = await enter(t, url, "bob", "lobby");
    const cat = await enterBy(t, url, "websocket", 4, "userId=cat&room=lobby");
    await ann.hears("<= cat join lobby");
    const gone = new Promise<void>((resolve) =>
      ann.socket.on("presence", ({ userId, online }) => userId === "cat" && !online && resolve()),
    );
    await cat.lose();
    // When cat's grace is over, bob's former ones are too.
    await gone;
    assert.deepEqual(events, [online("bob", 2), online("cat", 3), offline("cat", 2)]);
    await bob.ask("leave", "lobby");
    await ann.settled();
    assert.deepEqual(events.at(-1), offline("bob", 1));
  });

  test("of a lost user ends at once if its other connection leaves, or the grace is 0", async (t) => {
    const { url } = await startServer(t, { presenceGraceMs: 0 });
    const { ann, events } = await watcher(t, url);
    const [tab, lost] = [
      await enter(t, url, "bob", "lobby"),
      await enterBy(t, url, "websocket", 4, "userId=bob&room=lobby"),
    ];
    await ann.hears("<= bob join lobby");
    await lost.lose();
    await ann.hears("disconnected!");
    assert.deepEqual((await ann.ask("who", "lobby")).users.at(-1), { userId: "bob", connections: 1 });
    await tab.ask("leave", "lobby");
    const cat = await enterBy(t, url, "websocket", 4, "userId=cat&room=lobby");
    await ann.hears("<= cat join lobby");
    const gone = next(ann.socket, "presence");
    await cat.lose();
    await gone;
    assert.deepEqual(events, [online("bob", 2), offline("bob", 1), online("cat", 2), offline("cat", 1)]);
  });

  test("is reported until unwatch, leave or disconnect, once per watcher", async (t) => {
    const { url } = await startServer(t);
    const { ann, events } = await watcher(t, url);
    await ann.ask("watch", "lobby");
    await (await enter(t, url, "bob", "lobby")).ask("bye");
    assert.deepEqual(await ann.ask("unwatch", "lobby"), { room: "lobby" });
    await (await enter(t, url, "bob", "lobby")).ask("bye");
    await ann.ask("watch", "lobby");
    await ann.ask("leave", "lobby");
    await ann.ask("join", "lobby");
    await (await enter(t, url, "bob", "lobby")).ask("bye");
    await ann.settled();
    assert.deepEqual(events, [online("bob", 2), offline("bob", 1)]);
    await ann.ask("watch", "lobby");
    await ann.ask("bye");
    assert.equal(coreRooms(url).hub.watchers, 0);
  });
});
