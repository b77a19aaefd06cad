import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { coreOf } from "../../src/roomcast.ts";
import { accessible, fits, looks } from "../support/appearance.ts";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { FaultyLink } from "../support/faulty-link.ts";
import { skipWithout } from "../support/programs.ts";
import { startRedis } from "../support/redis.ts";
import { type RunningServer, startServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { type Window, windows } from "./window.ts";

const idOf = ({ app }: RunningServer) => coreOf(app).cluster?.node.id ?? assert.fail("not on Redis");

/** Starts two nodes on one Redis. The URL leads to the first one, and after it was closed to the second one. */
async function startPair(t: TestContext) {
  const { url: redis } = await startRedis(t);
  const [first, second] = await Promise.all([startServer(t, { redis }), startServer(t, { redis })]);
  const ports = [first.port, second.port];
  const link = await FaultyLink.open(() => ports);
  t.after(() => link.close());
  const closeFirst = async () => {
    ports.shift();
    await first.app.close();
  };
  return { url: link.url, first, second, closeFirst };
}

/** The facts of the header, which are in a menu on a phone, by their names. */
async function factsOf({ page }: Window): Promise<Record<string, string>> {
  const menu = page.getByRole("button", { name: "Menu", expanded: false });
  if (await menu.isVisible()) await menu.click();
  const texts = async (tag: string) =>
    (await page.locator(`header ${tag}:visible`).allTextContents()).map((text) => text.trim());
  const values = await texts("dd");
  return Object.fromEntries((await texts("dt")).map((name, index) => [name, values[index] ?? ""]));
}

describe("the page's node", { skip: skipWithout("chromium") || skipWithout("redis") }, () => {
  const open = useBrowser();

  for (const [look, options] of Object.entries(looks)) {
    test(`${look}: shows its node, and says when it has moved to another one`, async (t) => {
      const { url, first, second, closeFirst } = await startPair(t);
      const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`, options);
      await ann.reads("ann joined lobby");
      const bob = await enter(t, second.url, "bob", "lobby");
      await bob.ask("chat", "hello");
      await ann.reads("hello");
      assert.equal((await factsOf(ann)).node, idOf(first));
      await closeFirst();
      await ann.reads("Caught up, nothing missed");
      const moved = [
        "The connection was closed.",
        `Now on node ${idOf(second)}`,
        "Caught up, nothing missed",
      ];
      assert.deepEqual((await ann.texts()).slice(-3), moved);
      assert.equal((await factsOf(ann)).node, idOf(second));
      await accessible(ann.page, "after a move");
      await fits(ann.page, "after a move");
    });
  }

  test("says nothing after a reconnect to the same node", async (t) => {
    const { url, first } = await startPair(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.reads("ann joined lobby");
    for (const { conn } of first.app.roomcast.io.of("/").sockets.values()) conn.close();
    await ann.reads("Caught up, nothing missed");
    assert.deepEqual((await ann.texts()).slice(-2), [
      "The connection was closed.",
      "Caught up, nothing missed",
    ]);
    assert.equal((await factsOf(ann)).node, idOf(first));
  });

  test("is not shown where there are no other nodes", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`, {
      viewport: { width: 1440, height: 800 },
    });
    await ann.reads("ann joined lobby");
    const names = ["name", "namespace", "over", "ack", "id"];
    await until(async () => assert.deepEqual(Object.keys(await factsOf(ann)), names));
  });
});
