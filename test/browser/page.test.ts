import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { runScript } from "../support/script.ts";
import { startServer } from "../support/server.ts";
import { windows } from "./window.ts";

const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };
const evil = `<img src=x onerror="alert(1)">'"\`\${1}</script><script>alert(2)</script>`;

describe("the page", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();
  const withoutWebSocket: typeof open = async (options) => {
    const page = await open(options);
    await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebSocket"));
    return page;
  };

  for (const namespace of ["/", "/chat"]) {
    test(`two windows chat in two rooms of ${namespace}`, async (t) => {
      const { url } = await startServer(t);
      const visit = windows(t, open);
      const ann = await visit(url);
      await ann.enter("ann", "lobby", namespace);
      const bob = await visit(`${url}/?room=lobby&userId=bob&namespace=${namespace}`);
      await ann.reads("bob is online");
      await ann.say("hello bob");
      await bob.reads("hello bob");
      await bob.say("hello ann");
      await ann.reads("hello ann");
      assert.equal(await ann.log.locator(".own", { hasText: "hello bob" }).count(), 1);
      assert.equal(await ann.log.locator(".own", { hasText: "hello ann" }).count(), 0);
      for (const window of [ann, bob]) await window.say("/join den");
      await ann.room("den").getByText("2 members").waitFor();
      await bob.say("only for the den");
      await ann.reads("only for the den");
      await ann.room("lobby").click();
      assert.ok(!(await ann.texts()).includes("only for the den"));
      if (namespace === "/chat") {
        await ann.say("/msg to myself");
        await ann.page.getByText("recv to myself").waitFor();
      }
      await bob.page.close();
      await ann.reads("bob is offline");
      await ann.room("den").getByText("1 member", { exact: true }).waitFor();
    });
  }

  test("commands take a slash, everything else is said, and errors appear next to the input line", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    const bob = await enter(t, url, "bob", "lobby");
    await ann.say("/notice this");
    await ann.reads("have this");
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.say("/leave den");
    await ann.room("den").waitFor({ state: "detached" });
    await ann.say("/leave attic");
    await ann.page.getByRole("alert").getByText("not in that room").waitFor();
    assert.equal(await ann.line.inputValue(), "/leave attic");
    await ann.line.clear();
    for (const text of ["join us for lunch?", "bye", "//bye"]) await ann.say(text);
    for (const text of ["join us for lunch?", "bye", "/bye"]) await bob.hears(`<= ${text}`);
    await ann.say("/msg me");
    await ann.page.getByRole("alert").getByText("/msg works only in the namespace /chat.").waitFor();
    await ann.say("/dance");
    await ann.page.getByRole("alert").getByText("There is no command /dance.").waitFor();
    assert.equal(await ann.line.inputValue(), "/dance");
    await ann.say("/help");
    await ann.log.getByText("/tell user text: send a text to one user").waitFor();
    await ann.say("/bye");
    await bob.hears("<= ann leaved");
    await ann.status("offline");
    await ann.page.getByText("You said bye.").first().waitFor();
    await ann.page.getByRole("button", { name: "Connect", exact: true }).click();
    await ann.status("connected");
    await ann.say("back again");
    await bob.hears("<= back again");
  });

  test("asks before it sends to all rooms from Everything, and shows the message once", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    const bob = await enter(t, url, "bob", "lobby");
    await bob.ask("join", "den");
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.room("Everything").click();
    await ann.say("to all");
    await ann.page.getByText("Send this to 2 rooms?").waitFor();
    await ann.page.getByRole("button", { name: "Cancel" }).click();
    assert.equal(await ann.line.inputValue(), "to all");
    await ann.line.press("Enter");
    await ann.page.getByRole("button", { name: "Send to all" }).click();
    await ann.reads("to all");
    await bob.ask("chat", "to all as well");
    await ann.reads("to all as well");
    const texts = await ann.texts();
    assert.equal(texts.filter((text) => text === "to all").length, 1);
    assert.equal(texts.filter((text) => text === "to all as well").length, 1);
    await ann.log.locator("li", { hasText: "to all as well" }).getByText("lobby, den").waitFor();
    assert.equal(bob.texts.filter((text) => text === "<= to all").length, 2);
  });

  test("rooms that are not in view count unread messages, also in the page title", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.say("/join den");
    await ann.reads("ann joined den");
    const bob = await enter(t, url, "bob", "lobby");
    for (const text of ["one", "two", "three"]) await bob.ask("chat", text);
    await ann.room("lobby").getByLabel("3 unread").waitFor();
    await ann.page.waitForFunction(() => document.title === "(3) den");
    await ann.room("lobby").click();
    await ann.reads("three");
    await ann.room("lobby").getByLabel("unread").waitFor({ state: "detached" });
    await ann.page.waitForFunction(() => document.title === "lobby");
  });

  test("a room's link opens the room as another user", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=the+lobby&userId=ann&namespace=/chat`);
    const [other] = await Promise.all([
      ann.page.context().waitForEvent("page"),
      ann.page.getByRole("link", { name: "Open as another user" }).click(),
    ]);
    await other.getByText("Connected as bob, in the lobby").waitFor();
    await ann.reads("bob is online");
  });

  test("keeps the scroll position of a user who scrolled up and shows the number of new messages", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.reads("ann joined lobby");
    const bob = await enter(t, url, "bob", "lobby");
    for (let n = 0; n < 60; n++) await bob.ask("chat", `line ${n}`);
    await ann.reads("line 59");
    const top = () => ann.log.evaluate((list) => list.scrollTop);
    const below = () => ann.log.evaluate((list) => list.scrollHeight - list.clientHeight - list.scrollTop);
    await ann.page.waitForFunction(() => {
      const list = document.querySelector("[role=log]") as HTMLElement;
      return list.scrollHeight - list.clientHeight - list.scrollTop < 2;
    });
    await ann.log.evaluate((list) => list.scrollTo(0, 100));
    await bob.ask("chat", "while you were up there");
    await bob.ask("chat", "and again");
    const button = ann.page.getByRole("button", { name: "2 new" });
    await button.waitFor();
    assert.equal(await top(), 100);
    await button.click();
    await button.waitFor({ state: "detached" });
    assert.ok((await below()) < 2);
  });

  test("a server restart while the user types loses nothing and is reported once", async (t) => {
    const first = await startServer(t);
    const ann = await windows(t, open)(`${first.url}/?room=lobby&userId=ann`);
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.line.fill("half a sen");
    await first.app.close();
    await ann.status("reconnecting");
    await ann.line.press("Enter");
    const { url } = await startServer(t, {}, { port: first.port });
    await ann.reads("Some messages may be lost");
    await ann.line.press("End");
    await ann.page.keyboard.type("tence");
    assert.equal(await ann.line.inputValue(), "half a sentence");
    await ann.room("lobby").click();
    assert.equal(await ann.line.inputValue(), "");
    await ann.room("den").click();
    const bob = await enter(t, url, "bob", "den");
    await ann.room("den").getByText("2 members").waitFor();
    await ann.line.press("Enter");
    await bob.hears("<= half a sentence");
    const texts = await ann.texts();
    assert.equal(texts.filter((text) => text === "Some messages may be lost").length, 1);
    assert.equal(texts.filter((text) => text === "ann joined den").length, 1);
  });

  test("shows why a handshake was refused and lets the user correct it", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=a%07b&userId=ann`);
    await ann.page
      .getByRole("alert")
      .getByText(/Refused. room: expected 1 to 128 characters/)
      .waitFor();
    await ann.enter("ann", "lobby");
    await ann.reads("ann joined lobby");
  });

  test("counts members correctly over polling, where joins and acks arrive together", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, withoutWebSocket)(`${url}/?room=lobby&userId=ann`);
    const others = await Promise.all(["bob", "cleo", "dan"].map((name) => enter(t, url, name, "lobby")));
    await Promise.all([ann.say("/join den"), ...others.map((other) => other.ask("join", "den"))]);
    await ann.room("den").getByText("4 members").waitFor();
    await ann.room("lobby").getByText("4 members").waitFor();
  });

  test("a user refused for too many rooms can connect after leaving one", async (t) => {
    const { url } = await startServer(t, { maxRooms: 2 });
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.page.getByRole("button", { name: "Disconnect" }).click();
    await ann.page.getByLabel("Room", { exact: true }).fill("attic");
    await ann.page.getByRole("button", { name: "Connect", exact: true }).click();
    await ann.page
      .getByRole("alert")
      .getByText(/at most 2 rooms/)
      .waitFor();
    await ann.page.getByRole("button", { name: "Leave den" }).click();
    await ann.page.getByRole("button", { name: "Connect", exact: true }).click();
    await ann.status("connected");
    await ann.reads("ann joined attic");
    await ann.room("Everything").click();
    await ann.reads("Caught up, nothing missed");
    await ann.say("/leave lobby");
    await ann.reads("You left lobby");
    await ann.say("/join lobby");
    await ann.reads("ann joined lobby");
  });

  test("a draft survives browsing the input history", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    await ann.say("said before");
    await ann.reads("said before");
    await ann.line.fill("a draft");
    await ann.line.press("ArrowUp");
    assert.equal(await ann.line.inputValue(), "said before");
    await ann.line.press("ArrowDown");
    assert.equal(await ann.line.inputValue(), "a draft");
  });

  test("works over polling only and shows the transport in use", async (t) => {
    const { url } = await startServer(t);
    const ann = await windows(t, withoutWebSocket)(`${url}/?room=lobby&userId=ann`);
    await ann.page.getByRole("definition").getByText("polling").waitFor();
    const bob = await windows(t, open)(`${url}/?room=lobby&userId=bob`);
    await bob.page.getByRole("definition").getByText("websocket").waitFor();
    await bob.say("over to you");
    await ann.reads("over to you");
    await ann.say("and back");
    await bob.reads("and back");
  });

  test("the copied script repeats in Node what the window did, for any names and texts", async (t) => {
    const { url } = await startServer(t);
    const bob = await enter(t, `${url}/chat`, "bob", evil);
    const search = new URLSearchParams({ room: evil, userId: evil, namespace: "/chat" });
    const ann = await windows(t, open)(`${url}/?${search}`, clipboard);
    await ann.say(evil);
    await bob.hears(`<= ${evil}`);
    await ann.say("/join den\u2028");
    await ann.say("/msg last words");
    await ann.page.getByText("recv last words").waitFor();
    await ann.page.getByRole("button", { name: "Copy as script" }).click();
    await ann.page.getByText("Copied a Node script").waitFor({ state: "attached" });
    const script = await ann.page.evaluate(() => navigator.clipboard.readText());
    const output = await runScript(t, script);
    assert.match(output, /sent msg last words → recv last words/);
    assert.equal(
      bob.messages.filter(({ userId, text }) => userId === evil && text === `<= ${evil}`).length,
      2,
    );
  });

  test("names and texts are shown as plain text everywhere", async (t) => {
    const { url } = await startServer(t);
    const search = new URLSearchParams({ room: evil, userId: evil });
    const ann = await windows(t, open)(`${url}/?${search}`);
    await ann.page.getByRole("button", { name: "Wire" }).click();
    await ann.reads(`${evil} joined ${evil}`);
    const bob = await enter(t, url, `${evil}2`, evil);
    await bob.ask("chat", evil);
    await ann.reads(evil);
    await ann.say(`/leave ${evil}3`);
    await ann.page.getByRole("alert").getByText("not in that room").waitFor();
    await ann.room("Everything").click();
    await ann.reads(`${evil}2 is online`);
    await bob.ask("bye");
    await ann.reads(`${evil}2 is offline`);
    assert.equal(await ann.page.locator("img, script:not([src])").count(), 0);
    await ann.room(evil).first().click();
    await ann.page.waitForFunction((title) => document.title === title, evil);
  });

  test("is usable with the keyboard alone", async (t) => {
    const { url } = await startServer(t);
    const { page } = await windows(t, open)(url);
    const bob = await enter(t, url, "bob", "lobby");
    const press = (...keys: string[]) =>
      keys.reduce((done, key) => done.then(() => page.keyboard.press(key)), Promise.resolve());
    await press("Tab");
    await page.keyboard.type("ann");
    await press("Tab", "Enter");
    await bob.hears("<= ann join lobby");
    await page.locator("#line:focus").waitFor();
    await page.keyboard.type("/jo");
    await press("Tab");
    await page.keyboard.type("den");
    await press("Enter");
    await page.getByText("ann joined den").waitFor();
    await press("ArrowUp");
    assert.equal(await page.locator("#line").inputValue(), "/join den");
    await press("ArrowDown");
    await page.keyboard.type("/leave l");
    await press("Tab", "Enter");
    await bob.hears("<= ann leave lobby");
    await press("Shift+Tab");
    await page.locator("[role=log]:focus").waitFor();
    // Over the room's three controls and the button of the form.
    await press("Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab");
    await page.keyboard.type("attic");
    await press("Enter");
    await page.getByText("ann joined attic").waitFor();
  });
});
