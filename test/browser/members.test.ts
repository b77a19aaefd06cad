import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";
import { windows } from "./window.ts";

describe("the page's members", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();
  const wide = { viewport: { width: 1280, height: 720 } };

  test("lists the users of a room with their tabs, oneself first", async (t) => {
    const { url } = await startServer(t, { presenceGraceMs: 0 });
    const bob = await enter(t, url, "bob", "lobby");
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=cleo`, wide);
    const members = ann.members.getByRole("listitem");
    await members.filter({ hasText: "cleo" }).getByText("you").waitFor();
    assert.match((await members.first().textContent()) ?? "", /cleo/);
    await (await enter(t, url, "ann", "lobby")).settled();
    const second = await enter(t, url, "bob", "lobby");
    await members.filter({ hasText: "bob" }).getByText("2 tabs").waitFor();
    await ann.room("lobby").getByText("3 members").waitFor();
    second.socket.disconnect();
    await members.filter({ hasText: "2 tabs" }).waitFor({ state: "detached" });
    await bob.ask("bye");
    await ann.reads("bob is offline");
    await members.filter({ hasText: "bob" }).waitFor({ state: "detached" });
    await ann.room("lobby").getByText("2 members").waitFor();
    const texts = await ann.texts();
    assert.deepEqual(
      texts.filter((text) => text.endsWith("line")),
      ["ann is online", "bob is offline"],
    );
  });

  test("a click on a member starts a direct conversation", async (t) => {
    const { url } = await startServer(t);
    const visit = windows(t, open);
    const ann = await visit(`${url}/?room=lobby&userId=ann`, wide);
    const bob = await visit(`${url}/?room=lobby&userId=bob`, wide);
    await ann.members.getByRole("button", { name: "bob" }).click();
    await ann.page.locator("#line:focus").waitFor();
    await ann.page.keyboard.type("hi there");
    await ann.page.keyboard.press("Enter");
    await bob.room("ann").getByLabel("1 unread").click();
    await bob.reads("hi there");
    await bob.say("hi yourself");
    await ann.reads("hi yourself");
    assert.deepEqual(await ann.texts(), ["hi there", "hi yourself"]);
    await bob.page.getByRole("button", { name: "Close the conversation with ann" }).click();
    await bob.room("ann").waitFor({ state: "detached" });
  });

  test("/tell completes names, and keeps a text that nobody received", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`, wide);
    const bob = await enter(t, url, "bob the builder", "lobby");
    await ann.members.getByText("bob the builder").waitFor();
    await ann.line.fill("/tell b");
    await ann.line.press("Tab");
    await ann.page.keyboard.type("hi");
    assert.equal(await ann.line.inputValue(), '/tell "bob the builder" hi');
    await ann.line.press("Enter");
    assert.equal((await bob.hears("hi")).to, "bob the builder");
    await ann.reads("hi");
    await ann.say("/tell dan hi");
    await ann.page.getByRole("alert").getByText("dan is not connected. Nobody received this.").waitFor();
    assert.equal(await ann.line.inputValue(), "/tell dan hi");
  });

  test("shows a whisper to this window in the conversation with its author", async (t) => {
    const { url, app } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.reads("ann joined lobby");
    const [id = ""] = app.roomcast.io.of("/").sockets.keys();
    const bob = await enter(t, url, "bob", "lobby");
    await bob.ask("whisper", id, "psst");
    await ann.room("bob").click();
    await ann.reads("psst");
    await ann.log.getByText("whisper").waitFor();
  });

  test("invites others to a room by a link that asks for a name", async (t) => {
    const { url } = await startServer(t);
    const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };
    const visit = windows(t, open);
    const ann = await visit(`${url}/?room=the+den&userId=ann&namespace=/chat`, clipboard);
    await ann.page.getByRole("button", { name: "Invite" }).click();
    await ann.page.getByText("Copied a link to this room").waitFor({ state: "attached" });
    const link = await ann.page.evaluate(() => navigator.clipboard.readText());
    const bob = await visit(link);
    await bob.page.getByLabel("Name", { exact: true }).fill("bob");
    await bob.page.keyboard.press("Enter");
    await ann.reads("bob is online");
  });

  test("long lists of rooms have a filter, and scroll to the chosen room", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`, wide);
    const filter = ann.page.getByRole("searchbox", { name: "Filter the rooms" });
    for (const n of Array(20).keys()) await ann.say(`/join room ${n}`);
    await ann.reads("ann joined room 19");
    await filter.waitFor();
    const top = ann.room("lobby");
    const inView = () => top.evaluate((room) => room.getBoundingClientRect().top >= 0);
    assert.equal(await inView(), false);
    await ann.line.fill("/leave room 19");
    await ann.line.press("Enter");
    await ann.room("Everything").click();
    assert.equal(await inView(), true);
    await filter.fill("ROOM 7");
    await top.waitFor({ state: "detached" });
    await ann.room("room 7").waitFor();
  });
});
