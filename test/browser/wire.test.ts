import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";
import { windows } from "./window.ts";

const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };

describe("the page's wire panel", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  test("shows every event with its ack, which can be unfolded, filtered, copied and cleared", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`, clipboard);
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.tool("Wire");
    const { wire } = ann;
    const join = wire.locator("li", { hasText: "out" }).filter({ hasText: /join.*"den"/s });
    await join.getByText(/^ack {"room":"den","rooms":\["lobby","den"\],"members":1,/).waitFor();
    await join.getByText(/· 26 B · [\d.]+ ms/).waitFor();
    await join.getByText("join", { exact: true }).click();
    await join.getByText('"members": 1').waitFor();
    await join.getByRole("button", { name: "Copy join as a line of code" }).click();
    await ann.page.getByText("Copied the event").waitFor({ state: "attached" });
    assert.equal(
      await ann.page.evaluate(() => navigator.clipboard.readText()),
      'socket.emit("join", "den", {"last":50});',
    );
    await wire.getByRole("searchbox").fill("connected!");
    await wire.locator("li").nth(1).waitFor({ state: "detached" });
    await wire.locator("li", { hasText: "connected!" }).waitFor();
    await wire.getByRole("button", { name: "Clear" }).click();
    await wire.locator("li").waitFor({ state: "detached" });
  });

  test("filters by direction, error and event, and holds the list while it is paused", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.say("/notice one");
    await ann.say("/leave attic");
    await ann.page.getByRole("alert").waitFor();
    await ann.tool("Wire");
    const chip = (name: string | RegExp) => ann.wire.getByRole("button", { name, exact: true });
    const names = () => ann.wire.locator("li b").allTextContents();
    await chip("error").click();
    await ann.wire.getByText("1 event", { exact: true }).waitFor();
    assert.deepEqual(await names(), ["leave"]);
    await chip("error").click();
    await chip("in").click();
    await ann.wire.getByLabel("Event", { exact: true }).selectOption("reply");
    await ann.wire.getByText("1 event", { exact: true }).waitFor();
    await chip("pause").click();
    await ann.say("/notice two");
    await ann.reads("have two");
    await chip(/^paused, \d+ new$/).waitFor();
    assert.deepEqual(await names(), ["reply"]);
    await chip(/^paused/).click();
    await ann.wire.getByText("2 events", { exact: true }).waitFor();
  });

  test("emits any event with JSON arguments, and shows its ack", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    const bob = await enter(t, url, "bob", "lobby");
    await ann.tool("Wire");
    await ann.wire.getByText("Emit an event").click();
    const emit = async (event: string, args: string) => {
      await ann.wire.getByLabel("Event to emit").fill(event);
      await ann.wire.getByLabel("Arguments as JSON").fill(args);
      await ann.wire.getByRole("button", { name: "Emit" }).click();
    };
    await emit("chat", '"<b>raw</b>", "lobby"');
    await bob.hears("<= <b>raw</b>");
    await ann.wire
      .locator("li.out", { hasText: '"<b>raw</b>", "lobby"' })
      .getByText(/^ack .*"recipients":2/)
      .waitFor();
    await emit("chat", "{oops");
    await ann.wire.getByRole("alert").getByText("The arguments must be JSON").waitFor();
    await emit("dance", "");
    await ann.wire
      .locator("li.out", { hasText: "dance" })
      .getByText(/^ack .*unknown_event/)
      .waitFor();
    await ann.wire.getByLabel("with ack").uncheck();
    await emit("chat", "1");
    await ann.wire.locator("li.in", { hasText: "error" }).getByText("bad_payload").waitFor();
  });
});
