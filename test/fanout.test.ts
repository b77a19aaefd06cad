import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Message } from "../src/protocol.ts";
import { connect, enter, type Member, next } from "./support/client.ts";
import { generations } from "./support/generations.ts";
import { scrape } from "./support/metrics.ts";
import { connectRaw, openPolling, openRaw, type RawSocket } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { authSecret, token } from "./support/tokens.ts";
import { until } from "./support/until.ts";

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
const manyRooms = (length: number) => numbers(200).map((n) => `${n}`.padEnd(length, "r"));
const slowConsumers = (logs: Record<string, unknown>[]) =>
  logs.filter(({ reason }) => reason === "slow consumer").map(({ userId }) => userId);

/** Connects members to a room, half over polling and half over WebSocket. */
const membersOf = (t: TestContext, url: string, room: string, count: number) =>
  Promise.all(
    numbers(count).map((n) =>
      connect(t, url, {
        query: { userId: `m${n}`, room },
        transports: [n % 2 ? "polling" : "websocket"],
        reconnection: false,
      }),
    ),
  );

/** Resolves when each member has received `count` matching texts. */
const allReceive = (members: Member[], count: number, wanted: (text: string) => boolean) =>
  Promise.all(members.map((member) => until(() => assert.equal(member.texts.filter(wanted).length, count))));

test("joins and leaves by a client in 200 rooms with long names disconnect no member that reads", async (t) => {
  const { url, logs } = await startServer(t);
  const members = await membersOf(t, url, "target", 20);
  const raw = await connectRaw(t, url, "userId=mover");
  for (const room of manyRooms(128).slice(1)) raw.send(`42["join",${JSON.stringify(room)}]`);
  raw.send(...numbers(15).flatMap(() => ['42["join","target"]', '42["leave","target"]']));
  await allReceive(members, 30, (text) => /mover (join|leave) target/.test(text));
  assert.deepEqual(slowConsumers(logs), []);
});

/** Sends events with the ack ids 0 to 399 at once, and asserts that another client is served before the last ack. */
async function servesDuring(other: Member, sender: RawSocket, events: string[]): Promise<void> {
  let served = 0;
  let isSending = true;
  const serving = (async () => {
    while (isSending) {
      await other.ask("notice", "served?");
      served++;
    }
  })();
  sender.send(...events);
  await sender.receives(/^430/);
  const before = served;
  await sender.receives(/^43399/);
  isSending = false;
  await serving;
  assert.ok(
    served - before > 2,
    `only ${served - before} requests of another client were answered meanwhile`,
  );
}

test("serves other clients during a burst of joins and leaves in a large room", async (t) => {
  const { url } = await startServer(t);
  const room = "r".repeat(128);
  await Promise.all(numbers(150).map(() => connectRaw(t, url, `room=${room}`)));
  const other = await enter(t, url, "other", "elsewhere");
  const mover = await connectRaw(t, url, `userId=${"m".repeat(128)}`);
  const moves = numbers(400).map((n) => `42${n}["${n % 2 ? "leave" : "join"}","${room}"]`);
  await servesDuring(other, mover, moves);
});

test("serves other clients during a burst of events behind one that takes time", async (t) => {
  const { url } = await startServer(t, { authSecret });
  const shown = await token();
  const enterWithToken = async () => {
    const raw = await openRaw(t, url);
    raw.send(`40${JSON.stringify({ token: shown, room: "lobby" })}`);
    await raw.receives(/connected!/);
    return raw;
  };
  const [sender] = await Promise.all(numbers(150).map(enterWithToken));
  const other = await connect(t, url, { auth: { token: shown } });
  const chats = numbers(400).map((n) => `42${n}["chat",${JSON.stringify("x".repeat(500))}]`);
  await servesDuring(other, sender as RawSocket, [`42["auth","${shown}"]`, ...chats]);
});

describe("members that read receive all of", () => {
  for (const [title, count, size] of [
    ["1,000 messages of 2 kB", 1_000, 2_000],
    ["400 messages of 16 kB", 400, 16_000],
  ] as const) {
    test(`${title} sent at once by one client`, async (t) => {
      const { url, logs } = await startServer(t);
      const members = await membersOf(t, url, "lobby", 10);
      const sender = await enter(t, url, "sender", "lobby");
      const replies = await Promise.all(
        numbers(count).map((n) => sender.ask("chat", `${n} ${"x".repeat(size)}`)),
      );
      assert.equal(replies.filter(({ id }) => id).length, count);
      await allReceive(members, count, (text) => text.includes("xxx"));
      for (const { texts } of members) {
        const order = texts
          .filter((text) => text.includes("xxx"))
          .map((text) => Number.parseInt(text.slice(3), 10));
        assert.deepEqual(order, numbers(count));
      }
      assert.deepEqual(slowConsumers(logs), []);
    });
  }

  for (const [count, size, sendQueueMaxBytes] of [
    [3_000, 1_000, 1_000_000],
    [20, 1_000_000, 1_000_000],
    [3_000, 1_000, 100_000],
  ] as const) {
    test(`${count} messages of ${size} bytes emitted by an application in one turn, with --send-queue-max ${sendQueueMaxBytes}`, async (t) => {
      const { url, app, logs } = await startServer(t, { sendQueueMaxBytes });
      const members = await membersOf(t, url, "lobby", 2);
      const text = "x".repeat(size);
      for (const n of numbers(count)) {
        app.roomcast.io.emit("res", { text, at: n } as Message);
      }
      await allReceive(members, count, (received) => received === text);
      assert.deepEqual(slowConsumers(logs), []);
    });
  }
});

describe("a client within the documented limits stays connected", () => {
  for (const length of [20, 128]) {
    for (const transport of ["polling", "websocket"] as const) {
      test(`with 200 rooms of ${length} characters in its handshake: Engine.IO 4, ${transport}`, async (t) => {
        const { url, logs } = await startServer(t);
        const room = manyRooms(length);
        const ann = await connect(t, url, { auth: { userId: "ann", room }, transports: [transport] });
        await allReceive([ann], 200, (text) => text.startsWith("<= ann join"));
        assert.deepEqual(ann.messages[0]?.rooms, room);
        assert.deepEqual(slowConsumers(logs), []);
      });
    }
  }

  // An Engine.IO 3 client can only use its query, and the head of a request is limited to 16 kB.
  for (const length of [60]) {
    const query = `userId=ann&${manyRooms(length)
      .map((room) => `room=${room}`)
      .join("&")}`;
    const joins = (text: string) => text.split("<= ann join").length - 1;

    test(`with 200 rooms of ${length} characters in its handshake: Engine.IO 3, websocket`, async (t) => {
      const { url } = await startServer(t);
      const raw = await openRaw(t, url, query, 3);
      await until(() => assert.equal(joins(raw.frames.join()), 200));
    });

    test(`with 200 rooms of ${length} characters in its handshake: Engine.IO 3, polling`, async (t) => {
      const { url } = await startServer(t);
      const session = await openPolling(url, query, 3);
      let received = "";
      while (joins(received) < 200) {
        const answer = await fetch(session);
        assert.equal(answer.status, 200);
        received += await answer.text();
      }
    });
  }

  for (const transport of ["polling", "websocket"] as const) {
    test(`when it sends the longest allowed text to 150 rooms: ${transport}`, async (t) => {
      const { url, logs } = await startServer(t);
      const auth = { userId: "ann", room: manyRooms(128).slice(0, 150) };
      const ann = await connect(t, url, { auth, transports: [transport] });
      const text = "é".repeat(16_384);
      assert.equal((await ann.ask("chat", text)).recipients, 150);
      await allReceive([ann], 150, (received) => received === `<= ${text}`);
      assert.deepEqual(slowConsumers(logs), []);
    });
  }

  test("when 30 clients at once name 200 rooms with long names, and others are served meanwhile", async (t) => {
    const { url } = await startServer(t);
    const other = await enter(t, url, "other", "elsewhere");
    const room = manyRooms(128);
    let done = false;
    const arrivals = Promise.all(
      numbers(30).map((n) => connect(t, url, { auth: { userId: `m${n}`, room } })),
    );
    void arrivals.then(() => {
      done = true;
    });
    let served = 0;
    while (!done) {
      await other.ask("notice", "served?");
      served++;
    }
    assert.ok(served > 5, `only ${served} requests of another client were answered meanwhile`);
  });
});

test("throttles a sender so that little is queued for a slow reader", async (t) => {
  const { url, app, logs } = await startServer(t, { sendQueueMaxBytes: 200_000 });
  const session = await openPolling(url, "userId=slow&room=lobby");
  await fetch(session, { method: "POST", body: "40" });
  await (await fetch(session)).text();
  const sender = await enter(t, url, "sender", "lobby");
  const count = 300;
  const sent = Promise.all(numbers(count).map((n) => sender.ask("chat", `${n} ${"x".repeat(16_000)}`)));
  let received = "";
  let worst = 0;
  while (!received.includes(`"<= ${count - 1} `)) {
    const [line] = (await app.roomcast.metrics.metrics()).match(/roomcast_send_queue_worst_bytes \d+/) ?? [];
    worst = Math.max(worst, Number(line?.split(" ")[1]));
    received += await (await fetch(session)).text();
    await sleep(50);
  }
  await sent;
  const order = [...received.matchAll(/"<= (\d+) x/g)].map(([, n]) => Number(n));
  assert.deepEqual(order, numbers(count));
  assert.ok(worst < 600_000, `${worst} bytes were queued`);
  assert.deepEqual(slowConsumers(logs), []);
});

test("does not throttle a client that sends little for a backlog that others caused", async (t) => {
  const { url } = await startServer(t, { sendQueueMaxBytes: 200_000 });
  const room = ["lobby", ...manyRooms(20).slice(0, 150)];
  const session = await openPolling(url, "userId=slow");
  await fetch(session, { method: "POST", body: `40${JSON.stringify({ room })}` });
  const ann = await enter(t, url, "ann", "lobby");
  const friend = await connect(t, url, { auth: { userId: "friend", room: room.slice(1) } });
  await friend.ask("chat", "x".repeat(16_000));
  let isReading = true;
  const reading = (async () => {
    for (; isReading; await sleep(50)) await (await fetch(session)).text();
  })();
  for (let n = 0; n < 3; n++) await ann.ask("chat", "a word");
  const worst = Number((await scrape(url)).get("roomcast_send_queue_worst_bytes"));
  assert.ok(worst > 1_000_000, `only ${worst} bytes were queued after ann's messages`);
  isReading = false;
  await reading;
});

describe("a sender throttled for the readers in its room keeps its order, its heartbeat and its bye", () => {
  for (const { version, connect: connectBy } of generations.filter(({ version }) => /^[24]/.test(version))) {
    for (const transport of ["polling", "websocket"]) {
      test(`${version}, ${transport}`, async (t) => {
        const { url, logs } = await startServer(t, {
          sendQueueMaxBytes: 60_000,
          pingIntervalMs: 100,
          pingTimeoutMs: 1_500,
        });
        const members = await membersOf(t, url, "lobby", 6);
        const options = { forceNew: true, transports: [transport], reconnection: false };
        const sender = connectBy(url, { ...options, query: { userId: "sender", room: "lobby" } });
        t.after(() => sender.disconnect());
        await next(sender, "res");
        const acked: number[] = [];
        // Old clients send all of it in one POST, which is limited to 1 MB.
        const count = 400;
        for (const n of numbers(count)) {
          sender.emit("chat", `${n} ${"x".repeat(2_000)}`, () => acked.push(n));
        }
        sender.emit("bye", () => acked.push(count));
        await next(sender, "disconnect");
        assert.deepEqual(acked, numbers(count + 1));
        await allReceive(members, count, (text) => text.includes("xxx"));
        await allReceive(members, 1, (text) => text === "<= sender leaved");
        for (const { texts } of members) assert.equal(texts.at(-1), "<= sender leaved");
        assert.deepEqual(
          logs.filter(({ msg }) => msg === "disconnected").map(({ reason }) => reason),
          ["bye"],
        );
      });
    }
  }
});

test("handles everything a throttled client sent before it closed", async (t) => {
  const { url } = await startServer(t);
  const room = "r".repeat(128);
  const members = await membersOf(t, url, room, 20);
  const mover = await connectRaw(t, url, `userId=${"m".repeat(128)}`);
  mover.send(...numbers(400).map((n) => `42["${n % 2 ? "leave" : "join"}","${room}"]`));
  mover.ws.close();
  await allReceive(members, 400, (text) => text.startsWith("<= mmm"));
});

test("a slow but steady reader receives everything before the server stops", async (t) => {
  const { url, app } = await startServer(t, { drainTimeMs: 10_000, sendQueueMaxBytes: 50_000_000 });
  // The drain disconnects this connection first of the three.
  const slow = await connectRaw(t, url, "userId=slow&room=lobby");
  const sender = await enter(t, url, "sender", "lobby");
  const poller = await connect(t, url, {
    query: { userId: "poller", room: "lobby" },
    transports: ["polling"],
    reconnection: false,
  });
  slow.ws.pause();
  const count = 700;
  for (const n of numbers(count)) await sender.ask("chat", `${n} ${"x".repeat(16_000)}`);
  const drained = app.roomcast.drain();
  // Reads at most 64 kB at a time, 1.6 MB per second.
  slow.ws.on("message", () => slow.ws.pause());
  const reading = setInterval(() => slow.ws.resume(), 40);
  t.after(() => clearInterval(reading));
  await drained;
  await app.close();
  await slow.closed();
  assert.equal(slow.frames.filter((frame) => frame.includes("xxx")).length, count);
  assert.equal(poller.texts.filter((text) => text.includes("xxx")).length, count);
});
