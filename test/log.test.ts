import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Message } from "../src/protocol.ts";
import type { Connection } from "../src/rooms/connection.ts";
import { Dedup } from "../src/rooms/dedup.ts";
import { Hub } from "../src/rooms/hub.ts";
import { type LogBounds, LogStore } from "../src/rooms/log-store.ts";
import { MemoryBroker } from "../src/rooms/memory-broker.ts";
import { MemoryPresence } from "../src/rooms/memory-presence.ts";
import { offsetOf, positionOf } from "../src/rooms/position.ts";
import { numbered, seqOf } from "./support/recovery.ts";

const minute = 60_000;

/** A broker of a hub without members. */
function memoryBroker(store: LogStore): MemoryBroker {
  const hub = new Hub();
  return new MemoryBroker({
    hub,
    presence: new MemoryPresence(hub, 0),
    store,
    dedup: new Dedup(minute, 1_000_000),
  });
}

/** A broker without members, whose clock the test sets. */
function logs(bounds: Partial<LogBounds> = {}) {
  const clock = { now: 0 };
  const all = { historySize: 100, historyAgeMs: 10 * minute, historyMemoryMaxBytes: 64_000_000, ...bounds };
  const store = new LogStore(all, () => clock.now);
  const broker = memoryBroker(store);
  const say = (room: string, text = "hi") =>
    broker.publish({ message: { type: "chat", text, rooms: [room] } as unknown as Message }).offsets[
      room
    ] as string;
  const since = (room: string, offset: string) => {
    const { entries, isComplete } = broker.read(room, { after: positionOf(offset) }, Number.MAX_VALUE);
    return [isComplete, entries.map(({ seq }) => seq)];
  };
  return { clock, store, broker, say, since };
}

describe("a log", () => {
  test("whose messages have expired proves only that nothing was missed, and goes on in the same epoch", (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const { clock, store, say, since } = logs();
    const [first, second] = [say("lobby"), say("lobby")];
    clock.now = 10 * minute;
    assert.deepEqual(since("lobby", first), [true, [2]]);
    clock.now += 20 * minute;
    t.mock.timers.tick(5_000);
    assert.equal(store.messages, 0);
    assert.deepEqual(since("lobby", first), [false, []]);
    assert.deepEqual(since("lobby", second), [true, []]);
    const third = say("lobby");
    assert.equal(third, second.replace(":2", ":3"));
    assert.deepEqual(since("lobby", second), [true, [3]]);
    assert.deepEqual(since("lobby", first), [false, [3]]);
    store.close();
  });

  test("whose position is forgotten, too, begins another epoch", (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const { clock, store, say, since } = logs();
    const first = say("lobby");
    for (const minutes of [30, 60 * 25]) {
      clock.now += minutes * minute;
      t.mock.timers.tick(5_000);
    }
    assert.deepEqual(since("lobby", first), [false, []]);
    assert.notEqual(say("lobby"), first);
    store.close();
  });

  test("loses single messages by their age", () => {
    const { clock, say, since } = logs();
    const offsets = [0, 4, 8].map((minutes) => {
      clock.now = minutes * minute;
      return say("lobby");
    });
    clock.now = 12 * minute;
    assert.deepEqual(
      offsets.map((offset) => since("lobby", offset)),
      [
        [true, [2, 3]],
        [true, [3]],
        [true, []],
      ],
    );
    clock.now = 15 * minute;
    assert.deepEqual(
      offsets.map((offset) => since("lobby", offset)[0]),
      [false, true, true],
    );
  });

  test("keeps its newest messages in order, however many were said", () => {
    const { say, since, store } = logs({ historySize: 30 });
    const offsets = numbered(1_000).map((text) => say("lobby", text));
    assert.equal(store.messages, 30);
    const last = numbered(1_000).map(Number).slice(-30);
    assert.deepEqual(since("lobby", String(offsets[969])), [true, last]);
    assert.deepEqual(since("lobby", String(offsets[968])), [false, last]);
  });
});

describe("the memory of logs", () => {
  test("is bounded: the least recently used rooms lose their messages first, and are told so", () => {
    const { say, since, store } = logs({ historyMemoryMaxBytes: 1_000_000 });
    const rooms = numbered(40).map((n) => `room ${n}`);
    const offsets = rooms.map((room) => numbered(30).map(() => say(room, "x".repeat(1_000)))[0] as string);
    assert.ok(store.bytes <= 1_000_000);
    assert.deepEqual(since("room 40", String(offsets[39])), [true, numbered(30).map(Number).slice(1)]);
    assert.deepEqual(since("room 1", String(offsets[0])), [false, []]);
  });

  test("of one room that exceeds the bound costs it the oldest messages only", () => {
    const { say, since } = logs({ historyMemoryMaxBytes: 1_000_000 });
    const offsets = numbered(2_000).map(() => say("lobby", "x".repeat(15_000)));
    for (const [n, offset] of offsets.entries()) assert.equal(seqOf(offset), n + 1);
    for (let n = 0; n < 100; n++) {
      const before = say("lobby", "x".repeat(15_000));
      for (let m = 0; m < 10; m++) say("lobby", "x".repeat(15_000));
      assert.equal(since("lobby", before)[0], true);
    }
  });

  test("counts what it takes: 1,000 rooms of 100 messages, and nothing is left after their age", (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const { clock, say, store } = logs();
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const heapBytes = () => {
      collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    const before = heapBytes();
    for (let n = 0; n < 100_000; n++) say(`room ${n % 1_000}`, `${n} ${"x".repeat(n % 1_000)}`);
    const used = heapBytes() - before;
    assert.ok(store.bytes <= 64_000_000);
    assert.ok(used < store.bytes * 1.2, `${used} bytes are used, ${store.bytes} counted`);
    for (let n = 0; n < 10_000; n++) say(`once ${n}`);
    clock.now = 20 * minute;
    t.mock.timers.tick(5_000);
    assert.equal(store.messages, 0);
    assert.ok(store.bytes < 5_000_000, `${store.bytes} bytes are left`);
    clock.now += 25 * 60 * minute;
    t.mock.timers.tick(5_000);
    assert.equal(store.bytes, 0);
    store.close();
  });

  test("holds for any number of rooms that are only asked for their head", () => {
    const { broker, store } = logs({ historyMemoryMaxBytes: 1_000_000, historySize: 0 });
    for (let n = 0; n < 20_000; n++) {
      const room = `room ${n}`;
      const member = {
        id: "1",
        userId: "ann",
        rooms: [],
        gateway: { deliver() {} },
      } as unknown as Connection;
      broker.enter(member, [{ room, announcement: undefined, isForOthers: true, entered() {} }]);
      broker.leave(member, { room, announcement: undefined });
      assert.ok(store.bytes <= 1_000_000);
    }
    assert.match(offsetOf(broker.head("room 19999")), /:0$/);
  });
});

describe("the memory of ids", () => {
  const receipt = (id: string) => ({ id, rooms: ["lobby"], offsets: { lobby: "k3f9:17" } });

  test("is bounded, oldest first", () => {
    const dedup = new Dedup(minute, 10_000);
    for (let n = 0; n < 1_000; n++) dedup.add(`key ${n}`, receipt(String(n)), n);
    assert.equal(dedup.get("key 0", 1_000), undefined);
    assert.equal(dedup.get("key 999", 1_000)?.id, "999");
    const kept = numbered(1_000).filter((n) => dedup.get(`key ${n}`, 1_000));
    assert.ok(kept.length > 10 && kept.length < 40, String(kept.length));
  });

  test("ends with their time", () => {
    const dedup = new Dedup(minute, 10_000);
    dedup.add("a", receipt("1"), 0);
    dedup.add("b", receipt("2"), 1);
    assert.equal(dedup.get("a", minute - 1)?.id, "1");
    assert.equal(dedup.get("a", minute), undefined);
    assert.equal(dedup.get("b", minute)?.id, "2");
  });
});
