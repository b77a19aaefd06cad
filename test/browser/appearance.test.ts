import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { accessible, fits, looks } from "../support/appearance.ts";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";
import { type Window, windows } from "./window.ts";

const picture = new URL("page.png", import.meta.url);
const landscape = { viewport: { width: 740, height: 360 } };

/** Holds a conversation that brings every kind of content into view. */
async function conversation(t: TestContext, window: Window, url: string): Promise<void> {
  const bob = await enter(t, url, "bob", "lobby");
  const cleo = await enter(t, url, "cleo", "lobby");
  await window.say("/join design");
  await window.reads("ann joined design");
  await window.room("lobby").click();
  await cleo.ask("join", "design");
  await bob.ask("chat", "Morning! Who else is trying the new room server?");
  await window.say("Me. Two tabs, a phone and a Node script are in this room by now.");
  await cleo.ask("chat", "And I came over polling, from a 2.x client.", "lobby");
  await cleo.ask("chat", "مرحبا بالجميع", "lobby");
  await bob.ask("chat", "Every event is acked, and every ack says how many heard it.");
  await cleo.ask("chat", "The sketches are in here.", "design");
  await window.say("/notice just for me");
  await window.reads("have just for me");
  await window.room("design").getByLabel("1 unread").waitFor();
}

describe("the page's appearance", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  for (const [look, options] of Object.entries({ ...looks, "on a phone in landscape": landscape })) {
    test(`${look}: every state passes axe and fits its window`, async (t) => {
      const { url } = await startServer(t);
      const ann = await windows(t, open)(url, options);
      const check = async (state: string) => {
        await accessible(ann.page, state);
        await fits(ann.page, state);
      };
      await check("entrance");
      await ann.enter("ann", "lobby");
      await conversation(t, ann, url);
      await check("conversation");
      const { y = 0, height = 0 } = (await ann.line.boundingBox()) ?? {};
      assert.ok(y > 0 && y + height <= (options.viewport?.height ?? 0), "the composer is visible");
      await ann.room("Everything").click();
      await ann.say("/leave attic");
      await ann.page.getByRole("alert").waitFor();
      await check("an error");
      await ann.say("to all");
      await check("asked before sending to all rooms");
      await ann.page.getByRole("button", { name: "Cancel" }).click();
      await ann.tool("Wire");
      await ann.wire.locator("summary").first().click();
      await ann.wire.getByText("Emit an event").click();
      await check("wire");
      await ann.wire.getByRole("button", { name: "Close the wire" }).click();
      await ann.say("/bye");
      await ann.status("offline");
      await check("offline");
      const strict = await startServer(t, { authSecret: "a secret of no less than 32 characters" });
      await ann.page.goto(`${strict.url}/?room=lobby&userId=ann`);
      await ann.page.locator("input[name=token]:focus").waitFor();
      await check("asked for a token");
    });
  }

  test("loads without layout shifts", async (t) => {
    const { url } = await startServer(t);
    for (const address of [url, `${url}/?room=lobby&userId=ann`]) {
      const { page } = await windows(t, open)(address);
      await page.locator("h1, [data-status=connected]").first().waitFor();
      const shift = await page.evaluate(
        () =>
          new Promise<number>((resolve) => {
            new PerformanceObserver((list) => {
              const shifts = list.getEntries() as unknown as { value: number }[];
              resolve(shifts.reduce((sum, { value }) => sum + value, 0));
            }).observe({ type: "layout-shift", buffered: true });
            setTimeout(() => resolve(0), 300);
          }),
      );
      assert.ok(shift < 0.01, `${address} shifts by ${shift}`);
    }
  });

  test("renders right-to-left and left-to-right texts each in their own direction", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.say("مرحبا بالعالم");
    await ann.say("hello");
    await ann.reads("hello");
    const direction = (text: string) =>
      ann.log.locator(".text", { hasText: text }).evaluate((span) => getComputedStyle(span).direction);
    assert.deepEqual([await direction("مرحبا"), await direction("hello")], ["rtl", "ltr"]);
  });

  test("takes the README's picture and keeps it below 200 kB", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`, looks.light);
    await ann.reads("ann joined lobby");
    await conversation(t, ann, url);
    await ann.tool("Wire");
    await ann.page.mouse.move(0, 0);
    const shot = await ann.page.screenshot();
    if (process.env.PICTURE) writeFileSync(picture, shot);
    assert.ok(readFileSync(picture).length < 200_000);
    assert.ok(shot.length < 200_000);
  });

  test("stays responsive and trims its lists during 5,000 messages in 5 s", async (t) => {
    const { url, app } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.reads("ann joined lobby");
    const bob = await enter(t, url, "bob", "lobby");
    await ann.tool("Wire");
    await ann.page.evaluate(() => {
      const waits: number[] = [];
      Object.assign(globalThis, { waits });
      addEventListener("input", ({ timeStamp }) =>
        requestAnimationFrame(() => waits.push(performance.now() - timeStamp)),
      );
    });
    const burst = (async () => {
      for (let tick = 0; tick < 100; tick++) {
        const next = new Promise((resolve) => setTimeout(resolve, 50));
        for (let n = 0; n < 50; n++) bob.tell("chat", `message ${tick * 50 + n}`);
        await next;
      }
    })();
    await ann.line.pressSequentially("this is typed while they come in", { delay: 120 });
    await burst;
    await ann.reads("message 4999");
    const waits = await ann.page.evaluate(() => (globalThis as never as { waits: number[] }).waits);
    const median = waits.toSorted((a, b) => a - b)[Math.floor(waits.length / 2)] as number;
    t.diagnostic(`the composer answered within ${median.toFixed(0)} ms (median of ${waits.length})`);
    assert.ok(median < 100, `median ${median} ms`);
    assert.equal(await ann.line.inputValue(), "this is typed while they come in");
    assert.ok((await ann.log.locator("li").count()) <= 300);
    assert.ok((await ann.page.locator(".wire li").count()) <= 100);
    assert.equal(app.roomcast.io.engine.clientsCount, 2);
  });
});
