import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { Page } from "playwright-core";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";

describe("the page in Chromium", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  /** A window that is connected under a name, and whatever went wrong in it. */
  async function join(t: TestContext, url: string, userId: string, namespace = "/") {
    const page = await open();
    t.after(() => page.context().close());
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    await page.goto(url);
    await page.getByLabel("Name", { exact: true }).fill(userId);
    await page.getByLabel("Namespace").selectOption(namespace);
    await page.getByRole("button", { name: "Connect" }).click();
    await page.getByText("connected!").waitFor();
    return { page, faults };
  }

  const say = async (page: Page, text: string) => {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByLabel("Message", { exact: true }).press("Enter");
  };

  for (const namespace of ["/", "/chat"]) {
    test(`two windows talk in a room of ${namespace}, own messages marked`, async (t) => {
      const { url } = await startServer(t);
      const ann = await join(t, url, "ann", namespace);
      const bob = await join(t, url, "bob", namespace);
      await ann.page.getByText("<= bob join lobby").waitFor();
      await say(ann.page, "hello bob");
      await bob.page.getByText("ann in lobby: <= hello bob").waitFor();
      assert.equal(await bob.page.locator(".own", { hasText: "hello bob" }).count(), 0);
      assert.equal(await ann.page.locator(".own", { hasText: "hello bob" }).count(), 1);
      await say(ann.page, "notice to myself");
      await ann.page.getByText("have to myself").waitFor();
      await say(ann.page, "join den");
      await ann.page.getByText("<= ann join den").waitFor();
      await say(ann.page, "leave attic");
      await ann.page.getByText("not in that room").waitFor();
      await say(ann.page, "leave den");
      await say(ann.page, "bye");
      await bob.page.getByText("<= ann leaved").waitFor();
      await ann.page.getByText("disconnected: io server disconnect").waitFor();
      assert.deepEqual([...ann.faults, ...bob.faults], []);
    });
  }

  test("messages and names are shown as text and never as markup", async (t) => {
    const { url } = await startServer(t);
    const evil = `<img src=x onerror="document.title='pwned'">`;
    const { page, faults } = await join(t, url, evil);
    const mallory = await enter(t, url, evil, "lobby");
    await mallory.ask("chat", evil);
    await page.getByText(`${evil} in lobby: <= ${evil}`, { exact: true }).waitFor();
    assert.equal(await page.locator("img").count(), 0);
    assert.equal(await page.title(), "roomcast");
    assert.deepEqual(faults, []);
  });
});
