import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Publication } from "../../src/rooms/broker.ts";
import { Hub } from "../../src/rooms/hub.ts";
import { LogEntry, type Page } from "../../src/rooms/log.ts";
import { MemoryBroker } from "../../src/rooms/memory-broker.ts";
import { offsetOf, positionOf } from "../../src/rooms/position.ts";
import { skipWithout } from "../support/programs.ts";
import { runTool } from "../support/tool.ts";
import { Campaign, seedsFrom } from "./campaign.ts";
import { plan } from "./plan.ts";

const command = fileURLToPath(new URL("properties.ts", import.meta.url));

const properties = (...args: string[]) => runTool(command, args);

test("for twenty seconds, members miss nothing or are told so", async () => {
  const { code, output } = await properties("--seconds", "20");
  assert.equal(code, 0, output);
});

test("members spread over two nodes on Redis miss nothing or are told so", {
  skip: skipWithout("redis"),
}, async () => {
  const { code, output } = await properties("--seeds", "40", "--seed", "2000", "--nodes", "2", "--redis");
  assert.equal(code, 0, output);
});

test("the seed alone determines what members do", () => {
  assert.deepEqual(plan(7), plan(7));
  assert.notDeepEqual(plan(7), plan(8));
});

test("reports invalid arguments in one sentence", async () => {
  const wrong = [
    ["--seconds", "0"],
    ["--seeds", "none"],
    ["--seconds", "1", "--seeds", "1"],
    ["--seed"],
    ["--nodes", "2"],
    ["--redis", "--nodes", "0"],
    ["60"],
  ];
  for (const args of wrong) {
    const { code, output } = await properties(...args);
    assert.deepEqual([code, output.trim().split("\n").length], [2, 1], output);
  }
});

/** Runs seeds until a guarantee is found broken. @returns how */
async function caught(): Promise<string> {
  const found = await new Campaign().run(seedsFrom(1), Date.now() + 20_000);
  return found?.finding.message ?? "";
}

/** Whether to lie this time. */
function sometimes(): () => boolean {
  let count = 0;
  return () => ++count % 5 === 0;
}

/** Makes the brokers of all servers in this process lie in the pages that they read for replays. */
function lieInReplays(t: TestContext, lie: (page: Page) => Partial<Page>): void {
  const { read } = MemoryBroker.prototype;
  t.mock.method(
    MemoryBroker.prototype,
    "read",
    function (this: MemoryBroker, ...args: Parameters<typeof read>) {
      const page = read.apply(this, args);
      return { ...page, ...lie(page) };
    },
  );
}

/** Makes them deliver other live messages than those that were logged. */
function lieLive(t: TestContext, lie: (entry: LogEntry, epoch: string) => LogEntry[]): void {
  const { received } = Hub.prototype;
  t.mock.method(Hub.prototype, "received", function (this: Hub, ...args: Parameters<typeof received>) {
    const [room, message, except] = args;
    if (!(message instanceof LogEntry)) return received.apply(this, args);
    const { epoch } = positionOf(message.payload.offset as string);
    return lie(message, epoch).reduce((_, entry) => received.call(this, room, entry, except), 0);
  });
}

const inOtherEpoch = ({ payload, seq }: LogEntry) =>
  new LogEntry(seq, JSON.stringify({ ...payload, offset: offsetOf({ epoch: "other", seq }) }));

/** Each lie and how it is found. */
const liesInReplays: Record<string, [lie: (page: Page) => Partial<Page>, found: RegExp]> = {
  "drops one": [({ entries }) => ({ entries: entries.slice(0, -1) }), /missing|last message was/],
  "repeats one": [({ entries }) => ({ entries: [...entries.slice(0, 1), ...entries] }), /came after/],
  "swaps two": [
    ({ entries }) => ({ entries: entries.toReversed() }),
    /came after|last message was|is missing/,
  ],
  "names a wrong epoch": [
    ({ position }) => ({ position: { ...position, epoch: "other" }, isLast: true }),
    /has the epochs/,
  ],
  "says complete although something is missing": [
    () => ({ isComplete: true }),
    /missing|not in the log|came after/,
  ],
  "says gap although nothing is missing": [() => ({ isComplete: false }), /nothing is missing/],
};

for (const [name, [lie, found]] of Object.entries(liesInReplays)) {
  test(`a lying broker is caught: a replay ${name}`, async (t) => {
    lieInReplays(t, lie);
    assert.match(await caught(), found);
  });
}

const held = new Map<string, LogEntry>();

/** Holds a message back until the next one of its log. */
function swapped(entry: LogEntry, epoch: string, isLie: boolean): LogEntry[] {
  const before = held.get(epoch);
  held.delete(epoch);
  if (before) return [entry, before];
  if (isLie) held.set(epoch, entry);
  return isLie ? [] : [entry];
}

type LiveLie = (entry: LogEntry, epoch: string, isLie: boolean) => LogEntry[];

const liesLive: Record<string, [lie: LiveLie, found: RegExp]> = {
  "drops one": [(entry, _, isLie) => (isLie ? [] : [entry]), /came after|last message was|is missing/],
  "repeats one": [(entry, _, isLie) => (isLie ? [entry, entry] : [entry]), /came after/],
  "swaps two": [swapped, /came after|last message was|is missing/],
  "names a wrong epoch": [(entry, _, isLie) => [isLie ? inOtherEpoch(entry) : entry], /has the epochs/],
};

for (const [name, [lie, found]] of Object.entries(liesLive)) {
  test(`a lying broker is caught: live delivery ${name}`, async (t) => {
    const isTime = sometimes();
    lieLive(t, (entry, epoch) => lie(entry, epoch, isTime()));
    assert.match(await caught(), found);
  });
}

test("a lying broker is caught: it forgets the ids of messages", async (t) => {
  t.mock.method(MemoryBroker.prototype, "published", () => undefined);
  assert.match(await caught(), /said twice/);
});

test("a lying broker is caught: it acks a message that it does not log", async (t) => {
  const { publish } = MemoryBroker.prototype;
  const isTime = sometimes();
  t.mock.method(MemoryBroker.prototype, "publish", function (this: MemoryBroker, publication: Publication) {
    const { message, isTransient } = publication;
    const { rooms } = message;
    if (isTransient || !isTime()) return publish.call(this, publication);
    const heads = rooms.map((room) => [room, this.head(room)] as const);
    const offsets = Object.fromEntries(
      heads.map(([room, { epoch, seq }]) => [room, offsetOf({ epoch, seq: seq + 1 })]),
    );
    return { id: message.id, rooms: [...rooms], offsets, recipients: 0, duplicate: false };
  });
  assert.match(await caught(), /is both|acked/);
});
