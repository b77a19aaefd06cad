import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as openTcp, type Socket } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import type { Message } from "../src/protocol.ts";
import { client, connect, enter, Member, next } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import { scrape } from "./support/metrics.ts";
import { connectRaw, openPolling, type RawSocket } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

/** The resident memory of a server's process, in bytes. */
const residentBytes = async (url: string) => Number((await scrape(url)).get("process_resident_memory_bytes"));

/** Keeps a client that reads nothing from timing out: it sends pongs for pings that it has not read. */
function keepAnswering(t: TestContext, answer: () => void): void {
  const timer = setInterval(answer, 500);
  t.after(() => clearInterval(timer));
}

/** Joins a room over a WebSocket that stops reading but keeps sending pongs. */
async function stalled(t: TestContext, url: string, room: string): Promise<RawSocket> {
  const raw = await connectRaw(t, url, `userId=stalled&room=${room}`);
  raw.ws.pause();
  keepAnswering(t, () => raw.ws.readyState === raw.ws.OPEN && raw.ws.send("3"));
  return raw;
}

/** Joins a room over polling, never polls again, but keeps sending pongs. */
async function unpolling(t: TestContext, url: string, room: string): Promise<void> {
  const session = await openPolling(url, `userId=unpolling&room=${room}`);
  await fetch(session, { method: "POST", body: "40" });
  keepAnswering(t, () => void fetch(session, { method: "POST", body: "3" }).catch(() => {}));
}

const ended = (logs: Record<string, unknown>[]) =>
  logs.filter(({ reason }) => reason === "slow consumer").map(({ userId }) => userId);

describe("a slow consumer", () => {
  test("is disconnected when too much is queued, over both transports, while others keep receiving", async (t) => {
    const { url, logs } = await startServer(t, { sendQueueMaxBytes: 200_000, eventsBurst: 10_000 });
    const ann = await enter(t, url, "ann", "lobby");
    const bob = await enter(t, url, "bob", "lobby");
    await stalled(t, url, "lobby");
    await unpolling(t, url, "lobby");
    await ann.hears("<= unpolling join lobby");
    const said = 600;
    for (let n = 0; n < said; n++) await ann.ask("chat", `${n} ${"x".repeat(16_000)}`);
    await until(() => assert.deepEqual(ended(logs).toSorted(), ["stalled", "unpolling"]));
    await until(() => assert.equal(bob.texts.filter((text) => text === "disconnected!").length, 2));
    await bob.settled();
    assert.equal(bob.texts.filter((text) => text.startsWith("<= ") && text.includes("xxx")).length, said);
    const values = await scrape(url);
    assert.equal(values.get('roomcast_endings_total{reason="slow consumer"}'), 2);
    assert.equal(values.get('roomcast_disconnects_total{namespace="/",reason="slow consumer"}'), 2);
  });

  test("is disconnected when little is queued for too long, over both transports", async (t) => {
    const { url, logs } = await startServer(t, {
      sendQueueAgeMs: 500,
      pingIntervalMs: 100,
      pingTimeoutMs: 60_000,
    });
    const ann = await enter(t, url, "ann", "lobby");
    const raw = await stalled(t, url, "lobby");
    await unpolling(t, url, "lobby");
    await ann.hears("<= unpolling join lobby");
    // More than the kernel buffers for a socket that is not read, but less than the bound.
    assert.equal(raw.ws.isPaused, true);
    for (let n = 0; n < 300 && !ended(logs).includes("stalled"); n++)
      await ann.ask("chat", "x".repeat(16_000));
    await until(() => assert.deepEqual(ended(logs).toSorted(), ["stalled", "unpolling"]));
  });

  test("is disconnected before those with less queued when all queues together are too large", async (t) => {
    const bounds = { memoryMaxBytes: 3_000_000, sendQueueMaxBytes: 100_000_000, eventsBurst: 10_000 };
    const { url, logs } = await startServer(t, bounds);
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["much", "little"] } });
    const [little, much] = [await openPolling(url, "userId=little"), await openPolling(url, "userId=much")];
    await fetch(little, { method: "POST", body: '40{"room":"little"}' });
    await fetch(much, { method: "POST", body: '40{"room":"much"}' });
    await ann.hears("<= much join much");
    for (let n = 0; n < 20; n++) await ann.ask("chat", "x".repeat(16_000), "little");
    for (let n = 0; n < 200; n++) await ann.ask("chat", "x".repeat(16_000), "much");
    assert.deepEqual(ended(logs), ["much"]);
    assert.ok(Number((await scrape(url)).get("roomcast_send_queue_bytes")) > 20 * 16_000);
  });

  test("reconnects when it reads again", async (t) => {
    const { url, logs } = await startServer(t, { sendQueueMaxBytes: 100_000, eventsBurst: 10_000 });
    const ann = await enter(t, url, "ann", "lobby");
    const options = { query: { userId: "sleeper", room: "lobby" }, reconnectionDelay: 10 };
    const sleeper = new Member(client(t, url, options));
    await sleeper.hears("connected!");
    const { ws } = (sleeper.socket.io.engine as unknown as { transport: { ws: { _socket: Socket } } })
      .transport;
    ws._socket.pause();
    for (let n = 0; n < 600; n++) await ann.ask("chat", "x".repeat(16_000));
    await until(() => assert.deepEqual(ended(logs), ["sleeper"]));
    const back = next(sleeper.socket, "connect");
    ws._socket.resume();
    await back;
    await until(() => assert.equal(sleeper.texts.filter((text) => text === "connected!").length, 2));
  });

  test("is not a client that reads slowly but steadily", async (t) => {
    const { url, logs } = await startServer(t, {
      sendQueueMaxBytes: 400_000,
      sendQueueAgeMs: 400,
      eventsBurst: 10_000,
    });
    const ann = await enter(t, url, "ann", "lobby");
    const raw = await connectRaw(t, url, "userId=slow&room=lobby");
    const tick = setInterval(() => (raw.ws.isPaused ? raw.ws.resume() : raw.ws.pause()), 20);
    t.after(() => clearInterval(tick));
    for (let n = 0; n < 400; n++) {
      await ann.ask("chat", `${n} ${"x".repeat(16_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    clearInterval(tick);
    raw.ws.resume();
    await raw.receives(/<= 399 xxx/);
    assert.deepEqual(ended(logs), []);
  });
});

test("a sender that is lost while it waits for a slow reader is disconnected at once", async (t) => {
  const { url, app } = await startServer(t, { sendQueueMaxBytes: 20_000_000, eventsBurst: 10_000 });
  const ann = await enter(t, url, "ann", "lobby");
  const connected = next(app.roomcast.io, "connection");
  const reader = await connectRaw(t, url, "userId=reader&room=lobby");
  const [server] = await connected;
  reader.ws.on("message", () => reader.ws.pause());
  const reading = setInterval(() => reader.ws.resume(), 30);
  t.after(() => clearInterval(reading));
  for (let n = 0; n < 250; n++) server.emit("res", { text: "x".repeat(100_000) } as Message);
  const sender = await connectRaw(t, url, "userId=sender&room=lobby");
  sender.send(...Array.from({ length: 300 }, () => `42["chat","${"x".repeat(16_000)}"]`));
  // The reader would hold up the sender for seconds.
  await until(() => assert.equal(ann.messages.length > 60, true));
  let before = 0;
  await until(() => {
    const previous = before;
    before = ann.messages.length;
    assert.equal(before, previous);
  });
  (sender.ws as unknown as { _socket: Socket })._socket.resetAndDestroy();
  const lostAt = performance.now();
  // The server reads nothing from the sender, and notices its loss only when it writes to it.
  const writing = setInterval(() => ann.tell("chat", "still there?"), 20);
  t.after(() => clearInterval(writing));
  await until(() => {
    const isGone = ann.messages.some(({ text, userId }) => text === "disconnected!" && userId === "sender");
    assert.equal(isGone, true);
  });
  assert.ok(performance.now() - lostAt < 1_500, `after ${performance.now() - lostAt} ms`);
});

test("a client does not time out while a ping is queued behind data that it is reading", async (t) => {
  const { url, app, logs } = await startServer(t, {
    sendQueueMaxBytes: 20_000_000,
    pingIntervalMs: 100,
    pingTimeoutMs: 1_500,
  });
  const raw = await connectRaw(t, url, "room=lobby");
  raw.ws.on("message", (data) => {
    if (String(data) === "2") raw.send("3");
    raw.ws.pause();
    setTimeout(() => raw.ws.resume(), 30);
  });
  const count = 130;
  for (let n = 0; n < count; n++)
    app.roomcast.io.emit("res", { text: `${n} ${"x".repeat(60_000)}` } as Message);
  await raw.receives(new RegExp(`${count - 1} xxx`));
  assert.deepEqual(
    logs.filter(({ msg }) => msg === "disconnected"),
    [],
  );
});

describe("a client that polls without reading the responses", () => {
  /** Polls on a new TCP connection and reads nothing from it. */
  async function pollBlindly(t: TestContext, session: string): Promise<Socket> {
    const { port, pathname, search } = new URL(session);
    const socket = openTcp(Number(port), "127.0.0.1");
    t.after(() => socket.destroy());
    socket.on("error", () => {});
    socket.pause();
    await once(socket, "connect");
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  }

  test("is sent no second response before it has read the first, and is disconnected by the bound", async (t) => {
    const { url, logs, app } = await startServer(t, {
      sendQueueMaxBytes: 8_000_000,
      eventsBurst: 10_000,
      sendQueueAgeMs: 1_000,
    });
    const ann = await enter(t, url, "ann", "lobby");
    const session = await openPolling(url, "userId=blind&room=lobby");
    await fetch(session, { method: "POST", body: "40" });
    await ann.hears("<= blind join lobby");
    for (let n = 0; n < 450; n++) await ann.ask("chat", `${n} ${"x".repeat(16_000)}`);
    const connected = once(app.server, "connection");
    await pollBlindly(t, session);
    const [held] = await connected;
    const released = once(held, "close");
    const worst = async () => Number((await scrape(url)).get("roomcast_send_queue_worst_bytes"));
    assert.ok((await worst()) > 1_000_000);
    await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 1));
    assert.deepEqual(ended(logs), ["blind"]);
    assert.equal(await worst(), 0);
    // The response is not kept either.
    await released;
  });

  test("has the messages counted that arrive while a response is being sent", async (t) => {
    const { url } = await startServer(t, { eventsBurst: 10_000 });
    const ann = await enter(t, url, "ann", "lobby");
    const session = await openPolling(url, "userId=slow&room=lobby");
    await fetch(session, { method: "POST", body: "40" });
    await ann.hears("<= slow join lobby");
    const polled = fetch(session);
    for (let n = 0; n < 20; n++) ann.tell("chat", "x".repeat(16_000));
    await ann.settled();
    await polled;
    const first = (await polled).text();
    await ann.settled();
    const waiting = Number((await scrape(url)).get("roomcast_send_queue_bytes"));
    const rest = (await first).length;
    assert.ok(waiting + rest > 20 * 16_000, `${waiting} wait, ${rest} came`);
  });

  test("is disconnected at once when it polls again", async (t) => {
    const bounds = { sendQueueMaxBytes: 8_000_000, eventsBurst: 10_000 };
    const { url, app } = await startServer(t, bounds);
    const ann = await enter(t, url, "ann", "lobby");
    const session = await openPolling(url, "userId=blind&room=lobby");
    await fetch(session, { method: "POST", body: "40" });
    await ann.hears("<= blind join lobby");
    for (let n = 0; n < 450; n++) await ann.ask("chat", `${n} ${"x".repeat(16_000)}`);
    await pollBlindly(t, session);
    await ann.settled();
    await pollBlindly(t, session);
    await until(() => assert.equal(app.roomcast.io.engine.clientsCount, 1));
  });
});

test("disconnects a client that repeats upgrade probes without reading", async (t) => {
  const { url } = await startServer(t);
  const session = await openPolling(url);
  const ws = new WebSocket(session.replace("http", "ws").replace("polling", "websocket"));
  t.after(() => ws.terminate());
  ws.on("error", () => {});
  await once(ws, "open");
  ws.pause();
  const closed = new Promise((resolve) => {
    (ws as unknown as { _socket: Socket })._socket.on("close", resolve);
  });
  const ask = setInterval(() => {
    for (let n = 0; n < 20_000 && ws.readyState === ws.OPEN; n++) ws.send("2probe");
  }, 1);
  t.after(() => clearInterval(ask));
  await closed;
});

describe("the resident memory of the process", () => {
  const memoryMax = 10_000_000;
  // Garbage that may accumulate between two collections.
  const slack = 90_000_000;
  for (const [title, joinStalled] of Object.entries({
    "over WebSockets": stalled,
    "over polling": unpolling,
  })) {
    test(`stays bounded however many clients let messages pile up ${title}`, async (t) => {
      const command = runCommand(t, [
        ...[
          "--port",
          "0",
          "--memory-max",
          String(memoryMax),
          "--ping-timeout",
          "60000",
          // High enough that only the bound on total memory takes effect.
          "--send-queue-max",
          "1000000000",
        ],
        ...["--events-per-second", "1000000", "--events-burst", "1000000"],
        ...["--max-text", "64000", "--history-size", "0"],
      ]);
      const url = await command.ready();
      const rooms = Array.from({ length: 10 }, (_, n) => `r${n}`);
      const ann = await connect(t, url, { auth: { userId: "ann", room: rooms } });
      const say = async (size: number) => {
        for (const room of rooms) await ann.ask("chat", "x".repeat(size), room);
      };
      await say(64_000);
      for (const room of rooms) await joinStalled(t, url, room);
      const before = await residentBytes(url);
      let peak = 0;
      // 192 MB in total; the kernel buffers a part of it for WebSockets that are not read.
      for (let n = 0; n < 300; n++) {
        await say(64_000);
        ann.messages.length = 0;
        peak = Math.max(peak, (await residentBytes(url)) - before);
      }
      t.diagnostic(`grew by ${Math.round(peak / 1e6)} MB at most`);
      assert.ok(peak < memoryMax + slack, `${peak}`);
      const values = await scrape(url);
      assert.ok(Number(values.get("roomcast_send_queue_bytes")) < memoryMax * 1.05);
      assert.ok(Number(values.get('roomcast_endings_total{reason="slow consumer"}')) > 7);
      assert.equal(await ann.ask("notice", "still served"), "have still served");
    });
  }
});

describe("socket.io-client reports its disconnect as", () => {
  const cases = [
    ["websocket", "slow consumer", "transport close"],
    ["websocket", "rate limited", "transport close"],
    ["polling", "slow consumer", "transport error"],
  ] as const;
  for (const [transport, reason, heard] of cases) {
    test(`${heard}: ${reason} over ${transport}`, async (t) => {
      const bounds =
        reason === "slow consumer"
          ? { sendQueueMaxBytes: 100_000, eventsBurst: 10_000 }
          : { eventsPerSecond: 1, eventsBurst: 1 };
      const { url, logs } = await startServer(t, bounds);
      const ann = await enter(t, url, "ann", "lobby");
      const bob = await connect(t, url, {
        transports: [transport],
        query: { userId: "bob", room: "lobby" },
        reconnectionDelay: 10,
      });
      const gone = next(bob.socket, "disconnect");
      const isEnded = () => logs.some((line) => line.reason === reason && line.userId === "bob");
      let resume = () => {};
      if (reason === "slow consumer") {
        resume = stopReading(bob);
        for (let n = 0; n < 600; n++) await ann.ask("chat", "x".repeat(16_000));
      } else {
        const flood = setInterval(() => bob.tell("notice", "x"), 1);
        for (let n = 0; n < 100; n++) bob.tell("notice", "x");
        void gone.then(() => clearInterval(flood));
        t.after(() => clearInterval(flood));
      }
      await until(() => assert.equal(isEnded(), true));
      resume();
      assert.equal((await gone)[0], heard);
      // The client reconnects.
      await bob.settled();
    });
  }
});

/** Pauses a client's WebSocket or holds back its next poll. @returns a function that lets it read again */
function stopReading({ socket }: Member): () => void {
  const { transport } = socket.io.engine as unknown as {
    transport: { ws?: { pause(): void; resume(): void }; doPoll(): void };
  };
  const { ws } = transport;
  if (ws) {
    ws.pause();
    return () => ws.resume();
  }
  const { doPoll } = transport;
  let isHeld = false;
  transport.doPoll = () => {
    isHeld = true;
  };
  return () => {
    transport.doPoll = doPoll;
    if (isHeld) doPoll.call(transport);
  };
}
