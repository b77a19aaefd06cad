import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Core } from "../src/core.ts";
import type { Namespace } from "../src/namespaces/namespace.ts";
import type { Broker } from "../src/rooms/broker.ts";
import type { Connection } from "../src/rooms/connection.ts";
import { Hub } from "../src/rooms/hub.ts";
import { LogEntry } from "../src/rooms/log.ts";
import { Replay } from "../src/rooms/replay.ts";
import { client, connect, enter, Member, next } from "./support/client.ts";
import { Deferred } from "./support/deferred.ts";
import { cores } from "./support/in-process.ts";
import { scrape } from "./support/metrics.ts";
import { epochOf, logged, numbered, refusal, resume, say, seqOf } from "./support/recovery.ts";
import { startServer } from "./support/server.ts";
import { nodesOf } from "./support/two-nodes.ts";
import { until } from "./support/until.ts";
import { WebSocketClient } from "./support/websocket-client.ts";

/** The namespace `/`. */
/** The root namespace of a server; on the node of that user if it has several. */
const rootOf = (url: string, userId: string) =>
  nodesOf(url)
    .map((node) => (cores.get(node) as Core).dispatchers[0]?.namespace as Namespace)
    .find(({ rooms }) => rooms.hub.ofUser(userId).length > 0) as Namespace;

const malformedOffsets = ["", "k3f9", "k3f9:", ":1", "k3f9:-1", "k3f9:1.5", "k3f9:01", "a b:1", 7, {}, []];

describe("a join", () => {
  test("without options replays nothing and acks the head of the log as a cursor", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const [, second] = await say(ann, "lobby", "one", "two");
    const bob = await connect(t, url);
    const { offset, status, missed } = await bob.ask("join", "lobby");
    assert.deepEqual([offset, status, missed], [second, "new", 0]);
    assert.deepEqual(logged(bob), []);
  });

  test("since an offset replays what came after it, in order and before the ack", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const [first, , third] = await say(ann, "lobby", "one", "two", "three");
    const bob = await connect(t, url);
    const { room, members, offset, status, missed } = await bob.ask("join", "lobby", { since: first });
    assert.deepEqual(logged(bob), ["2 two", "3 three"]);
    assert.deepEqual([room, members, offset, status, missed], ["lobby", 2, third, "complete", 2]);
    await say(ann, "lobby", "four");
    await bob.settled();
    assert.deepEqual(logged(bob), ["2 two", "3 three", "4 four"]);
  });

  test("replays messages exactly as the members received them", async (t) => {
    const { url } = await startServer(t);
    const ann = await connect(t, url, { auth: { userId: 'änn "\\', room: ["lobby", "den"] } });
    await ann.ask("chat", "to both\u2028 \ud83d\ude00 \ud800");
    await ann.ask("publish", "lobby", { a: [1, null, "x"] });
    await ann.settled();
    const bob = await connect(t, url);
    for (const room of ["lobby", "den"]) await bob.ask("join", room, { last: 100 });
    const inLobby = ({ messages }: typeof ann, room: string) =>
      messages.filter((message) => message.offset && message.room === room);
    for (const room of ["lobby", "den"]) assert.deepEqual(inLobby(bob, room), inLobby(ann, room));
    assert.equal(inLobby(bob, "lobby").length, 2);
  });

  test("since the offset of a silent room replays everything said since", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const { offset: since } = await ann.ask("join", "den");
    assert.equal(seqOf(since), 0);
    await say(ann, "den", "one");
    const bob = await connect(t, url);
    assert.deepEqual((await bob.ask("join", "den", { since })).status, "complete");
    assert.deepEqual(logged(bob), ["1 one"]);
  });

  test("with last replays that many messages at most, and no offset is asked for", async (t) => {
    const { url } = await startServer(t, { historySize: 3 });
    const ann = await enter(t, url, "ann", "lobby");
    const offsets = await say(ann, "lobby", ...numbered(5));
    for (const [last, missed] of [
      [0, 0],
      [2, 2],
      [3, 3],
      [1_000_000, 3],
    ] as const) {
      const bob = await connect(t, url);
      const ack = await bob.ask("join", "lobby", { last });
      assert.deepEqual([ack.offset, ack.status, ack.missed], [offsets[4], "new", missed]);
      assert.deepEqual(logged(bob), ["3 3", "4 4", "5 5"].slice(3 - missed));
    }
  });

  test("with since and last goes by since", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const [since] = await say(ann, "lobby", ...numbered(4));
    const bob = await connect(t, url);
    assert.deepEqual((await bob.ask("join", "lobby", { since, last: 1 })).missed, 3);
  });

  test("of a member is not announced, and its options still apply", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const [since] = await say(ann, "lobby", "one", "two");
    const { status, missed, rooms } = await ann.ask("join", "lobby", { since });
    assert.deepEqual([status, missed, rooms], ["complete", 1, ["lobby"]]);
    assert.deepEqual(logged(ann), ["1 one", "2 two", "2 two"]);
    assert.equal(ann.texts.filter((text) => text === "<= ann join lobby").length, 1);
    await say(ann, "lobby", "three");
    assert.deepEqual(logged(ann).slice(3), ["3 three"]);
  });

  test("reports a gap and replays what is left if the offset is too old, beyond the head or of another epoch", async (t) => {
    const { url } = await startServer(t, { historySize: 2 });
    const ann = await enter(t, url, "ann", "lobby");
    const [first, second, , fourth] = await say(ann, "lobby", ...numbered(4));
    const epoch = epochOf(String(first));
    const statusOf = async (since: unknown) => {
      const bob = await connect(t, url);
      const { status, missed, offset } = await bob.ask("join", "lobby", { since });
      assert.equal(offset, fourth);
      assert.deepEqual(logged(bob), ["3 3", "4 4"].slice(2 - missed));
      return [status, missed];
    };
    assert.deepEqual(await statusOf(first), ["gap", 2]);
    assert.deepEqual(await statusOf(second), ["complete", 2]);
    assert.deepEqual(await statusOf(fourth), ["complete", 0]);
    assert.deepEqual(await statusOf(`${epoch}:5`), ["gap", 2]);
    assert.deepEqual(await statusOf("other:3"), ["gap", 2]);
    assert.deepEqual(await statusOf("other:4"), ["gap", 2]);
  });

  test("with malformed options fails, and the room is not joined", async (t) => {
    const { url } = await startServer(t);
    const ann = await connect(t, url);
    const malformed = [...malformedOffsets.map((since) => ({ since })), "x", 7, [], true];
    for (const options of [...malformed, { last: -1 }, { last: 1.5 }, { last: "1" }]) {
      const { error } = await ann.ask("join", "lobby", options);
      assert.equal(error?.code, "bad_payload", JSON.stringify(options));
    }
    assert.deepEqual((await ann.ask("leave", "lobby")).error.code, "not_in_room");
    const { status } = await ann.ask("join", "lobby", { since: null, last: null, more: 1 });
    assert.equal(status, "new");
  });

  test("finds the log that the last member left behind, each namespace its own", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const [first, second] = await say(ann, "lobby", "one", "two");
    await ann.ask("bye");
    const bob = await connect(t, url);
    const { offset, status, missed } = await bob.ask("join", "lobby", { since: first });
    assert.deepEqual([offset, status, missed], [second, "complete", 1]);
    const cat = await connect(t, `${url}/chat`);
    assert.deepEqual((await cat.ask("join", "lobby", { since: first })).status, "gap");
  });

  test("with a history of size 0 proves only that nothing was missed", async (t) => {
    const { url } = await startServer(t, { historySize: 0 });
    const ann = await enter(t, url, "ann", "lobby");
    const [first, second] = await say(ann, "lobby", "one", "two");
    assert.equal(seqOf(String(second)), 2);
    for (const [since, expected] of [
      [first, "gap"],
      [second, "complete"],
    ] as const) {
      const { status, missed, offset } = await ann.ask("join", "lobby", { since });
      assert.deepEqual([status, missed, offset], [expected, 0, second]);
    }
    const { messages, more, offset } = await ann.ask("history", "lobby");
    assert.deepEqual([messages, more, offset], [[], false, second]);
  });
});

describe("a handshake", () => {
  test("with since is greeted, replayed each room, and sent a sync after each", async (t) => {
    const { url } = await startServer(t);
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["den", "lobby", "__proto__"] } });
    const den = await say(ann, "den", "a", "b");
    const lobby = await say(ann, "lobby", "c", "d");
    const [proto] = await say(ann, "__proto__", "e");
    const since = JSON.parse(JSON.stringify({ den: den[0], attic: den[0] }).replace("attic", "__proto__"));
    const { order, syncs } = await resume(t, url, { room: ["den", "lobby", "__proto__"], since });
    assert.deepEqual(order, [
      ...["null connected", "den join", "lobby join", "__proto__ join"],
      ...["den 2 b", "den sync", "lobby sync", "__proto__ 1 e", "__proto__ sync"],
    ]);
    assert.deepEqual(syncs, [
      { room: "den", offset: den[1], status: "complete", missed: 1 },
      { room: "lobby", offset: lobby[1], status: "new", missed: 0 },
      { room: "__proto__", offset: proto, status: "gap", missed: 1 },
    ]);
  });

  test("with last replays the rooms that have no offset", async (t) => {
    const { url } = await startServer(t);
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["den", "lobby"] } });
    const [den] = await say(ann, "den", ...numbered(3));
    await say(ann, "lobby", ...numbered(3));
    const { syncs } = await resume(t, url, { room: ["den", "lobby"], since: { den, lobby: null }, last: 1 });
    assert.deepEqual(
      syncs.map(({ status, missed }) => [status, missed]),
      [
        ["complete", 2],
        ["new", 1],
      ],
    );
    const alone = await resume(t, url, { room: ["lobby"], last: 2 });
    assert.deepEqual(
      alone.syncs.map(({ status, missed }) => [status, missed]),
      [["new", 2]],
    );
  });

  test("receives a sync per room for an empty since, and none without since and last", async (t) => {
    const { url } = await startServer(t);
    const { syncs } = await resume(t, url, { room: ["den", "lobby", "den"].slice(0, 2), since: {} });
    assert.deepEqual(
      syncs.map(({ room, status, missed }) => [room, status, missed]),
      [
        ["den", "new", 0],
        ["lobby", "new", 0],
      ],
    );
    const ann = await enter(t, url, "ann", "lobby");
    ann.socket.on("sync", () => assert.fail("a sync that nobody asked for"));
    await ann.settled();
  });

  test("receives no sync for rooms of since that it does not join", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "secret");
    const [, secret] = await say(ann, "secret", "one", "two");
    const since = { secret: `${epochOf(String(secret))}:0`, lobby: "other:1" };
    const { member, syncs, order } = await resume(t, url, { room: ["lobby"], since });
    await member.settled();
    assert.deepEqual(
      syncs.map(({ room, status }) => [room, status]),
      [["lobby", "gap"]],
    );
    assert.deepEqual(
      order.filter((line) => line.startsWith("secret")),
      [],
    );
  });

  test("may name as many rooms as a connection may be in, each with an offset", async (t) => {
    const { url } = await startServer(t);
    // 128 characters, most of them surrogate pairs.
    const room = numbered(200).map((n) => n.padStart(8, "x") + "\ud83d\ude00".repeat(120));
    const offset = `${"e".repeat(12)}:${"9".repeat(15)}`;
    const since = Object.fromEntries(room.map((name) => [name, offset]));
    const { syncs } = await resume(t, url, { room, since });
    assert.deepEqual(new Set(syncs.map(({ status }) => status)), new Set(["gap"]));
  });

  test("with a malformed since or last is refused", async (t) => {
    const { url } = await startServer(t);
    const malformed = [
      ...malformedOffsets.map((lobby) => ({ since: { lobby } })),
      { since: "x" },
      { since: [] },
    ];
    for (const fields of [...malformed, { since: 1 }, { last: -1 }, { last: "many" }, { last: {} }]) {
      const { code } = await refusal(t, url, { room: "lobby", ...fields });
      assert.equal(code, "bad_payload", JSON.stringify(fields));
    }
  });
});

describe("a replay", () => {
  const long = "x".repeat(16_000);
  /** More of these than the kernel buffers for a socket that is not read. */
  const huge = "x".repeat(100_000);
  const roomy = {
    ...{ maxTextChars: 200_000, bytesPerSecond: 100_000_000, eventsBurst: 5_000 },
    ...{ historySize: 400, sendQueueMaxBytes: 700_000 },
  };
  /** The sequence number of a logged message, or the status of a verdict, that a raw client has received. */
  const progress = (packet: string): (number | string)[] => {
    const [event, { offset = null, status = "" } = {}] = /^42/.test(packet)
      ? JSON.parse(packet.slice(2))
      : [];
    return event === "sync" ? [status] : offset ? [seqOf(offset)] : [];
  };
  /** A member of the lobby in a hub of its own, and what it and others are sent. */
  const memberOfLobby = () => {
    const hub = new Hub();
    const heard: unknown[] = [];
    const gateway = { deliver: (members: unknown[], event: unknown) => members.length && heard.push(event) };
    const member = { id: "1", userId: "ann", rooms: [], gateway } as unknown as Connection;
    hub.add(member);
    hub.join(member, "lobby");
    return { hub, member, heard };
  };
  /** Connects by hand and joins the lobby since an offset. @returns what arrives */
  const replayRaw = async (
    t: TestContext,
    url: string,
    since: string,
    prepare = (_: WebSocketClient) => {},
  ) => {
    const bob = new WebSocketClient(url);
    t.after(() => bob.drop());
    const seen: (number | string)[] = [];
    bob.onPacket = (packet) => void seen.push(...progress(packet));
    await bob.opened;
    prepare(bob);
    bob.send(`40${JSON.stringify({ userId: "bob", room: ["lobby"], since: { lobby: since } })}`);
    return { bob, seen };
  };
  /** Waits until the kernel has taken what it can for a client that does not read. */
  const untilBlocked = (url: string) =>
    until(async () => {
      const queued = (await scrape(url)).get("roomcast_send_queue_bytes") ?? 0;
      if (queued === 0 || queued > 400_000) throw new Error(`${queued} bytes are queued`);
    });
  const upTo = (last: number, first = 1) =>
    numbered(last)
      .slice(first - 1)
      .map(Number);

  for (const transports of [["websocket"], ["polling"], ["polling", "websocket"]]) {
    test(`larger than the send queue, amid live messages, has no hole and no repeat over ${transports}`, async (t) => {
      const { url, logs } = await startServer(t, { historySize: 300 });
      const ann = await enter(t, url, "ann", "lobby");
      const [first] = await say(ann, "lobby", ...numbered(200, long));
      const options = { auth: { userId: "bob", room: ["lobby"], since: { lobby: first } }, transports };
      const bob = new Member(client(t, url, options));
      const order: unknown[] = [];
      bob.socket.on("res", ({ offset }) => offset && order.push(seqOf(offset)));
      bob.socket.on("sync", ({ status }) => order.push(status));
      const synced = next(bob.socket, "sync");
      await ann.hears("<= bob join lobby");
      await say(ann, "lobby", ...numbered(50));
      const [{ missed, offset }] = await synced;
      await say(ann, "lobby", "the end");
      await bob.hears("<= the end");
      assert.equal(missed, seqOf(offset) - 1);
      assert.deepEqual(order, upTo(251, 2).toSpliced(missed, 0, "complete" as never));
      assert.ok(!logs.some(({ reason }) => reason === "slow consumer"));
    });
  }

  test("waits for a reader that pauses, withholds live messages from it alone, and then catches up", async (t) => {
    const { url } = await startServer(t, roomy);
    const ann = await enter(t, url, "ann", "lobby");
    const [first] = await say(ann, "lobby", ...numbered(300, huge));
    const { bob, seen } = await replayRaw(t, url, String(first), (client) => client.pause());
    await ann.hears("<= bob join lobby");
    const { recipients } = await ann.ask("chat", "live", "lobby");
    assert.equal(recipients, 2);
    await ann.hears("<= live");
    await untilBlocked(url);
    bob.resume();
    await until(() => assert.deepEqual(seen, [...upTo(301, 2), "complete"]));
  });

  test("that the log overtakes ends with a gap, and live messages follow without a hole", async (t) => {
    const { url } = await startServer(t, { ...roomy, historySize: 300 });
    const ann = await enter(t, url, "ann", "lobby");
    const [first] = await say(ann, "lobby", ...numbered(300, huge));
    const { bob, seen } = await replayRaw(t, url, String(first), (client) => client.pause());
    await ann.hears("<= bob join lobby");
    await untilBlocked(url);
    await say(ann, "lobby", ...numbered(400));
    bob.resume();
    await until(() => assert.equal(seen.at(-1), "gap"));
    await say(ann, "lobby", "the end");
    await until(() => assert.equal(seen.at(-1), 701));
    const sent = seen.filter((line) => line !== "gap") as number[];
    assert.deepEqual(sent.slice(-301), upTo(701, 401));
    assert.ok(
      sent.every((seq, n) => seq > Number(sent[n - 1] ?? 1)),
      "out of order or repeated",
    );
  });

  test("that is cut is continued by the next one from the last offset that arrived", async (t) => {
    const { url } = await startServer(t, { historySize: 500, sendQueueMaxBytes: 50_000 });
    const ann = await enter(t, url, "ann", "lobby");
    const [first] = await say(ann, "lobby", ...numbered(300, long));
    const all: number[] = [];
    while (all.length < 300) {
      const cut = new Deferred();
      await replayRaw(t, url, `${epochOf(String(first))}:${all.length}`, (client) => {
        client.onPacket = (packet) => {
          const [seq] = progress(packet);
          if (typeof seq !== "number" || client.socket.destroyed || all.push(seq) % 75 > 0) return;
          client.drop();
          cut.resolve();
        };
      });
      await cut.promise;
    }
    assert.deepEqual(all, upTo(300));
    await until(async () => assert.equal((await ann.ask("join", "lobby")).members, 1));
  });

  test("ends for a room that the member is removed from, and goes on in its other rooms", async (t) => {
    const { url } = await startServer(t, { historySize: 300 });
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["lobby", "den"] } });
    const [lobby] = await say(ann, "lobby", ...numbered(200, long));
    const [den] = await say(ann, "den", "one", "two");
    const auth = { userId: "bob", room: ["lobby", "den"], since: { lobby, den } };
    const bob = new Member(client(t, url, { auth }));
    const verdicts: string[] = [];
    bob.socket.on("sync", ({ room }) => verdicts.push(room));
    await ann.hears("<= bob join den");
    const { rooms } = rootOf(url, "bob");
    await say(ann, "den", "three");
    await rooms.leave(rooms.hub.ofUser("bob")[0] as Connection, { room: "lobby", announcement: undefined });
    await bob.hears("<= three");
    await until(() => assert.equal(verdicts.at(-1), "den"));
    const heard = bob.messages.filter(({ offset, room }) => offset && room === "den");
    assert.deepEqual(
      heard.map(({ text }) => text),
      ["<= two", "<= three"],
    );
  });

  for (const [way, read] of Object.entries({
    rejects: () => Promise.reject(new Error("the store is down")),
    throws: () => {
      throw new Error("the store is down");
    },
  }))
    test(`that fails because the broker ${way} withholds nothing any more`, async () => {
      const { hub, member, heard } = memberOfLobby();
      const replay = new Replay(member, { broker: { read } as unknown as Broker, hub, pageBytes: 1_000 });
      await assert.rejects(async () => replay.room("lobby", { last: 1 }), /down/);
      hub.received("lobby", new LogEntry(1, "{}"));
      assert.equal(heard.length, 1);
    });

  test("of a room that the member has left withholds nothing when it comes back", async () => {
    const { hub, member, heard } = memberOfLobby();
    const other = { ...member, id: "2", rooms: [] };
    hub.join(other, "lobby");
    hub.leave(member, "lobby");
    const replay = new Replay(member, { broker: {} as Broker, hub, pageBytes: 1_000 });
    await assert.rejects(async () => replay.room("lobby", { last: 1 }), { code: "closing" });
    hub.join(member, "lobby");
    hub.leave(other, "lobby");
    hub.received("lobby", new LogEntry(1, "{}"));
    assert.equal(heard.length, 1);
  });

  test("of one room leaves the member's other rooms and requests in order", async (t) => {
    const { url } = await startServer(t, { historySize: 300 });
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["lobby", "den"] } });
    const [first] = await say(ann, "lobby", ...numbered(200, long));
    const bob = await enter(t, url, "bob", "den");
    const asked = [bob.ask("join", "lobby", { since: first }), bob.ask("chat", "mine", "lobby")];
    asked.push(bob.ask("join", "lobby", { last: 1 }), bob.ask("leave", "lobby"));
    await say(ann, "den", "meanwhile");
    await ann.hears("<= bob leave lobby");
    const [joined, said, again, left] = await Promise.all(asked);
    assert.deepEqual([joined.status, joined.missed, again.missed, left.rooms], ["complete", 199, 1, ["den"]]);
    const lobby = bob.messages.filter(({ offset, room }) => offset && room === "lobby");
    assert.deepEqual(
      lobby.map(({ offset }) => seqOf(offset)),
      [...upTo(201, 2), 201],
    );
    assert.equal(said.offsets.lobby, again.offset);
    await bob.hears("<= meanwhile");
  });
});
