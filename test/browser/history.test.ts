import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { useBrowser } from "../support/browser.ts";
import { enter, type Member } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { type Window, windows } from "./window.ts";

/** Sends "line 0", "line 1" and so on to the lobby. */
async function sayLines(member: Member, count: number, first = 0): Promise<void> {
  for (let n = first; n < first + count; n++) await member.ask("chat", `line ${n}`, "lobby");
}

/** Cuts the connection of the client that connected first, which then reconnects by itself. */
function cutFirst(app: FastifyInstance): void {
  const [socket] = app.roomcast.io.of("/").sockets.values();
  socket?.conn.close();
}

const lines = async (window: Window) => (await window.texts()).filter((text) => text.startsWith("line"));
const numbered = (count: number) => Array.from({ length: count }, (_, n) => `line ${n}`);

describe("the page's history", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  test("shows what was said before, and loads older messages while the reader scrolls up", async (t) => {
    const { url } = await startServer(t);
    await sayLines(await enter(t, url, "bob", "lobby"), 90);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.reads("line 89");
    assert.deepEqual(await lines(ann), numbered(90).slice(40));
    const first = ann.log.getByText("line 40", { exact: true });
    await ann.log.evaluate((list) => list.scrollTo(0, 90));
    await ann.log.getByText("line 0", { exact: true }).waitFor({ state: "attached" });
    assert.deepEqual(await lines(ann), numbered(90));
    const { y } = (await first.boundingBox()) ?? { y: -1 };
    assert.ok(y > 50 && y < 300, `the line that was read has moved to ${y}`);
    await ann.page.getByRole("button", { name: "Load older messages" }).waitFor({ state: "detached" });
  });

  test("catches up after a lost connection, each message once and in order", async (t) => {
    const { url, app } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.reads("ann joined lobby");
    const bob = await enter(t, url, "bob", "lobby");
    await sayLines(bob, 2);
    await ann.reads("line 1");
    cutFirst(app);
    await sayLines(bob, 12, 2);
    await ann.reads("Caught up, 12 messages");
    await sayLines(bob, 1, 14);
    await ann.reads("line 14");
    assert.deepEqual(await lines(ann), numbered(15));
    await ann.room("Everything").click();
    await ann.reads("Caught up, 12 messages");
    assert.deepEqual(await lines(ann), numbered(15));
  });

  test("says where messages may be lost", async (t) => {
    const { url, app } = await startServer(t, { historySize: 2 });
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.reads("ann joined lobby");
    const bob = await enter(t, url, "bob", "lobby");
    await sayLines(bob, 1);
    await ann.reads("line 0");
    cutFirst(app);
    await sayLines(bob, 5, 1);
    await ann.reads("Some messages may be lost");
    const expected = [
      "line 0",
      "The connection was closed.",
      "Some messages may be lost",
      "line 4",
      "line 5",
    ];
    assert.deepEqual((await ann.texts()).slice(-5), expected);
  });

  test("rooms, the chosen room and unsent texts survive a reload", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.say("said in the den");
    await ann.room("lobby").click();
    await ann.say("/leave");
    await ann.reads("You left lobby");
    await ann.line.fill("a draft\nof two lines");
    await ann.room("den").click();
    await ann.line.fill("for the den");
    await ann.page.reload();
    await ann.reads("said in the den");
    assert.equal(await ann.line.inputValue(), "for the den");
    await ann.room("lobby").waitFor({ state: "detached" });
    await ann.room("Everything").click();
    assert.equal(await ann.line.inputValue(), "a draft\nof two lines");
  });

  test("shows data as JSON, and a text with its line breaks", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    const bob = await enter(t, url, "bob", "lobby");
    await ann.reads("ann joined lobby");
    await bob.ask("publish", "lobby", { card: "<b>", at: [1, null, true] });
    await ann.reads('{"card":"<b>","at":[1,null,true]}');
    await ann.line.pressSequentially("one");
    await ann.line.press("Shift+Enter");
    await ann.line.pressSequentially("two");
    await ann.line.press("Enter");
    assert.equal((await bob.hears("<= one\ntwo")).type, "chat");
    await ann.reads("one two");
  });

  test("messages of one author and minute stand together", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    const bob = await enter(t, url, "bob", "lobby");
    await ann.page.clock.setFixedTime(new Date());
    await sayLines(bob, 3);
    await ann.reads("line 2");
    const authors = ann.log.locator(".who:not(.unseen)");
    await until(async () => assert.ok((await authors.count()) <= 2));
    await ann.say("me too");
    await ann.reads("me too");
    assert.equal(await authors.last().textContent(), "You");
  });
});
