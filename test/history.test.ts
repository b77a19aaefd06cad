import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { connect, enter } from "./support/client.ts";
import { brief, epochOf, numbered, say } from "./support/recovery.ts";
import { startServer } from "./support/server.ts";

describe("history", () => {
  test("returns the newest messages, oldest first, as the members received them", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    const offsets = await say(ann, "lobby", ...numbered(60));
    await ann.ask("publish", "lobby", { x: 1 });
    const { room, messages, more, offset } = await ann.ask("history", "lobby");
    assert.deepEqual([room, messages.length, more], ["lobby", 50, true]);
    assert.deepEqual(messages, ann.messages.filter(({ offset }) => offset).slice(-50));
    assert.equal(offset, `${epochOf(String(offsets[0]))}:61`);
  });

  test("is read page by page with before", async (t) => {
    const { url } = await startServer(t, { historySize: 7 });
    const ann = await enter(t, url, "ann", "lobby");
    const offsets = await say(ann, "lobby", ...numbered(10));
    const pages: unknown[] = [];
    for (let before: string | undefined, more = true; more; ) {
      const page = await ann.ask("history", "lobby", { before, limit: 3 });
      pages.push([page.messages.map(brief), page.more]);
      assert.equal(page.offset, offsets[9]);
      [before, more] = [page.messages[0].offset, page.more];
    }
    assert.deepEqual(pages, [
      [["8 8", "9 9", "10 10"], true],
      [["5 5", "6 6", "7 7"], true],
      [["4 4"], false],
    ]);
  });

  test("before an offset that the log does not hold", async (t) => {
    const { url } = await startServer(t, { historySize: 2 });
    const ann = await enter(t, url, "ann", "lobby");
    const offsets = await say(ann, "lobby", ...numbered(4));
    const epoch = epochOf(String(offsets[0]));
    const read = async (before: string) => {
      const { messages, more, offset } = await ann.ask("history", "lobby", { before, limit: 1 });
      assert.equal(offset, offsets[3]);
      return [messages.map(brief), more];
    };
    assert.deepEqual(await read("other:3"), [[], false]);
    assert.deepEqual(await read(`${epoch}:99`), [["4 4"], true]);
    assert.deepEqual(await read(`${epoch}:5`), [["4 4"], true]);
    assert.deepEqual(await read(`${epoch}:4`), [["3 3"], false]);
    assert.deepEqual(await read(`${epoch}:3`), [[], false]);
    assert.deepEqual(await read(`${epoch}:0`), [[], false]);
  });

  test("with malformed options is refused", async (t) => {
    const { url } = await startServer(t);
    const ann = await enter(t, url, "ann", "lobby");
    for (const options of [
      { limit: 0 },
      { limit: 1_001 },
      { limit: 1.5 },
      { before: "x" },
      { before: 7 },
      "x",
      [],
    ])
      assert.equal((await ann.ask("history", "lobby", options)).error?.code, "bad_payload");
    const { messages, more, offset } = await ann.ask("history", "lobby", { limit: 1_000 });
    assert.deepEqual([messages, more], [[], false]);
    assert.match(offset, /^\w+:0$/);
  });

  test("is bounded in bytes, and says that there is more", async (t) => {
    const { url } = await startServer(t, { sendQueueMaxBytes: 60_000, historySize: 1_000 });
    const ann = await connect(t, url, { auth: { userId: "ann", room: ["lobby"] } });
    await say(ann, "lobby", ...numbered(20, "x".repeat(16_000)));
    const { messages, more } = await ann.ask("history", "lobby", { limit: 1_000 });
    assert.ok(messages.length > 5 && messages.length < 10, String(messages.length));
    assert.deepEqual([more, brief(messages.at(-1)).startsWith("20 ")], [true, true]);
  });
});
