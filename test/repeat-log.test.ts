import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { type LineLog, RepeatLog } from "../src/ops/repeat-log.ts";
import { connect, next } from "./support/client.ts";
import { engineUrl, openRaw } from "./support/raw.ts";
import { startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

interface Written {
  msg: string;
  repeats?: number;
  address?: string;
  id?: number;
}

function startLog(t: TestContext, windowMs?: number, level = "info") {
  const lines: Written[] = [];
  const write = (details: object, msg: string) => void lines.push({ ...details, msg });
  const isLevelEnabled = (asked: string) => asked !== "debug";
  const target: LineLog = { level, isLevelEnabled, debug: write, info: write, warn: write, error: write };
  const log = new RepeatLog(target, windowMs);
  t.after(() => log.close());
  const say = (address: string, id: number, burst = 1) =>
    log.write({ level: "info", message: "refused", about: { address }, details: { id }, burst });
  return { lines, log, say };
}

/** The number of events that these lines account for. */
const told = (lines: Written[]) => lines.reduce((sum, { repeats = 1 }) => sum + repeats, 0);

describe("of repeated lines about one address,", () => {
  test("the first is written at once and the others are counted", (t) => {
    const { lines, log, say } = startLog(t);
    for (let id = 1; id <= 100; id++) say("a", id);
    say("b", 101);
    assert.deepEqual(lines, [
      { msg: "refused", address: "a", id: 1 },
      { msg: "refused", address: "b", id: 101 },
    ]);
    log.close();
    assert.deepEqual(lines.slice(2), [{ msg: "refused", address: "a", repeats: 99 }]);
  });

  test("as many are written as the burst allows", (t) => {
    const { lines, log, say } = startLog(t);
    for (let id = 1; id <= 100; id++) say("a", id, 50);
    assert.equal(lines.length, 50);
    log.close();
    assert.deepEqual(lines.at(-1), { msg: "refused", address: "a", repeats: 50 });
  });

  test("one is written per window while they continue, and after a pause the next is written at once", async (t) => {
    const { lines, say } = startLog(t, 30);
    let sent = 0;
    await until(() => {
      for (let n = 0; n < 10; n++) say("a", ++sent);
      assert.equal(lines.filter(({ repeats }) => repeats).length >= 3, true);
    });
    assert.deepEqual(
      lines.filter(({ repeats }) => !repeats).map(({ id }) => id),
      [1],
    );
    await until(() => assert.equal(told(lines), sent));
    // Two more windows pass without events from the first address.
    await until(() => {
      say("b", 0);
      assert.equal(lines.filter(({ address, repeats }) => address === "b" && repeats).length >= 2, true);
    });
    say("a", ++sent);
    assert.equal(lines.at(-1)?.id, sent);
  });

  test("few are written even for many addresses, and every event is counted", (t) => {
    const { lines, log, say } = startLog(t);
    for (let n = 0; n < 30_000; n++) say(`address ${n % 10_000}`, n);
    assert.equal(lines.length, 500);
    log.close();
    assert.equal(lines.length <= 1_001, true);
    assert.equal(told(lines), 30_000);
  });

  test("none are counted if their level is disabled", (t) => {
    const { lines, log } = startLog(t);
    for (let n = 0; n < 10; n++) log.write({ level: "debug", message: "refused", about: {} });
    log.close();
    assert.equal(lines.length, 0);
  });
});

describe("a flood from one address is logged in few lines that count every event:", () => {
  const msgOf = (logs: Record<string, unknown>[], msg: string) =>
    logs.filter((line) => line.msg === msg) as unknown as Written[];

  test("refused requests", async (t) => {
    const { url, app, logs } = await startServer(t);
    const headers = { origin: "https://evil.example" };
    for (let n = 0; n < 100; n++) {
      await fetch(engineUrl(url, "polling", `n=${n}`), { headers: { origin: `${headers.origin}:${n + 1}` } });
    }
    const atOnce = msgOf(logs, "request refused").length;
    assert.equal(atOnce < 20, true, String(atOnce));
    assert.match(await app.roomcast.metrics.metrics(), /refusals_total\{code="origin_not_allowed"\} 100\n/);
    await app.close();
    assert.equal(told(msgOf(logs, "request refused")), 100);
  });

  test("refused handshakes", async (t) => {
    const { url, app, logs } = await startServer(t);
    const raw = await openRaw(t, url);
    for (let n = 1; n <= 60; n++) {
      raw.send('40{"userId":7}');
      await until(() => assert.equal(raw.frames.length, 1 + n));
    }
    const atOnce = msgOf(logs, "handshake refused").length;
    assert.equal(atOnce < 20, true, String(atOnce));
    await app.close();
    assert.equal(told(msgOf(logs, "handshake refused")), 60);
  });

  test("connects and disconnects", async (t) => {
    const { url, app, logs } = await startServer(t);
    const ann = await connect(t, url);
    const chat = ann.socket.io.socket("/chat");
    for (let n = 0; n < 200; n++) {
      if (n > 0) chat.connect();
      await next(chat, "connect");
      chat.disconnect();
      // Socket.IO ends a connection whose CONNECT arrives in the same turn as its DISCONNECT.
      await ann.settled();
    }
    await until(async () =>
      assert.match(
        await app.roomcast.metrics.metrics(),
        /disconnects_total\{namespace="\/chat",[^\n]*\} 200\n/,
      ),
    );
    await app.close();
    for (const [msg, count] of [
      ["connected", 201],
      ["disconnected", 201],
    ] as const) {
      const lines = msgOf(logs, msg);
      assert.equal(lines.length < 150, true, `${lines.length} of ${msg}`);
      assert.equal(told(lines), count);
    }
  });
});
