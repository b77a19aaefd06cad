import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clockSkewSeconds } from "../../src/auth/tokens.ts";
import { useBrowser } from "../support/browser.ts";
import { connect } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { runScript } from "../support/script.ts";
import { startServer } from "../support/server.ts";
import { authSecret, now, token } from "../support/tokens.ts";
import { type Window, windows } from "./window.ts";

const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };

/** Signs a token that a server, which tolerates clock skew, treats as expired within two seconds. */
const brief = () => token({ exp: now() - clockSkewSeconds + 2 });

const field = ({ page }: Window) => page.getByLabel("Token (if required)");

/** Types a token into the form. */
async function present(window: Window, token: string): Promise<void> {
  await window.advanced();
  await field(window).fill(token);
}

/** Waits until the start page shows this sentence and has focused the token field. */
async function asksFor({ page }: Window, sentence: string): Promise<void> {
  await page.getByRole("alert").getByText(sentence, { exact: true }).waitFor();
  await page.locator("input[name=token]:focus").waitFor();
}

describe("on a server that requires tokens, the page", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  test("connects with a token and displays it nowhere", async (t) => {
    const { url } = await startServer(t, { authSecret });
    const ann = await windows(t, open)(url, clipboard);
    const [first, second] = [await token(), await token({ jti: "second" })];
    await ann.advanced();
    assert.deepEqual(
      [await field(ann).getAttribute("type"), await field(ann).getAttribute("autocomplete")],
      ["password", "off"],
    );
    await present(ann, ` ${first} `);
    await ann.enter("somebody", "lobby");
    await ann.reads("ann joined lobby");
    await ann.say(`/auth ${second}`);
    await ann.page.getByText(/^The new token is valid until .*\d:\d\d/).waitFor();
    await ann.say("hello");
    await ann.line.press("ArrowUp");
    await ann.line.press("ArrowUp");
    assert.equal(await ann.line.inputValue(), "hello");
    await ann.page.getByRole("button", { name: "Wire" }).click();
    const wire = ann.page.getByRole("complementary", { name: "Wire" });
    await wire.locator("li", { hasText: "auth" }).getByText('"(hidden)"').waitFor();
    await ann.page.getByRole("button", { name: "Copy auth as a line of code" }).click();
    const copied = () => ann.page.evaluate(() => navigator.clipboard.readText());
    await ann.page.getByText("Copied the event").waitFor({ state: "attached" });
    assert.equal(await copied(), 'socket.emit("auth", "(hidden)");');
    for (const secret of [first, second]) {
      const shown = `${await ann.page.content()} ${ann.page.url()}`;
      assert.doesNotMatch(shown, new RegExp(secret.replaceAll(".", "\\.")));
      await wire.getByRole("searchbox").fill(secret);
      await wire.locator("li").first().waitFor({ state: "detached" });
    }
  });

  test("copies a script that reads the token from its environment", async (t) => {
    const { url } = await startServer(t, { authSecret });
    const bob = await connect(t, url, { auth: { token: await token({ sub: "bob" }), room: "lobby" } });
    const ann = await windows(t, open)(url, clipboard);
    await present(ann, await token());
    await ann.enter("ann", "lobby");
    await ann.say("said before");
    await ann.reads("said before");
    await ann.say(`/auth ${await token()}`);
    await ann.page.getByText(/^The new token is valid/).waitFor();
    await ann.page.getByRole("button", { name: "Copy as script" }).click();
    await ann.page.getByText("Copied a Node script").waitFor({ state: "attached" });
    const script = await ann.page.evaluate(() => navigator.clipboard.readText());
    assert.doesNotMatch(script, /eyJ|"auth"/);
    const output = await runScript(t, script, { TOKEN: await token({ sub: "cleo" }) });
    assert.match(output, /sent chat said before lobby →/);
    assert.deepEqual(
      bob.messages.filter(({ text }) => text === "<= said before").map(({ userId }) => userId),
      ["ann", "cleo"],
    );
  });

  test("explains what to do about a missing or refused token and focuses its field", async (t) => {
    const { url } = await startServer(t, { authSecret });
    const ann = await windows(t, open)(`${url}/?room=lobby&userId=ann`);
    const asks = "Refused. This server asks for a valid token.";
    const tries = async (value: string) => {
      await field(ann).fill(value);
      await field(ann).press("Enter");
    };
    await asksFor(ann, `${asks} Enter your token below.`);
    await tries("let me in");
    await asksFor(ann, `${asks} Your token is not valid. Enter another one.`);
    await tries(await token({ exp: 1 }));
    await asksFor(ann, "Refused. The token has expired. Enter a new one below.");
    const forbidden =
      "The token does not allow the room lobby. Choose another room, or enter a token that allows this one.";
    await tries(await token({ rooms: ["den"] }));
    await asksFor(ann, `Refused. ${forbidden}`);
    await ann.page.getByLabel("Room", { exact: true }).fill("den");
    await field(ann).press("Enter");
    await ann.reads("ann joined den");
    await ann.say("/join lobby");
    await ann.page.getByRole("alert").getByText("The token does not allow the room lobby.").waitFor();
  });

  test("reports that the token has expired and continues with a new one", async (t) => {
    const { url } = await startServer(t, { authSecret });
    const ann = await windows(t, open)(url);
    await present(ann, await token());
    await ann.enter("ann", "lobby");
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.say(`/auth ${await brief()}`);
    await ann.reads("Your token has expired");
    await ann.page
      .getByRole("alert")
      .getByText("Your token has expired. Send a new one with /auth.")
      .waitFor();
    await ann.say(`/auth ${await token({ sub: "bob" })}`);
    await ann.page.getByRole("alert").getByText("The token is another user's.").waitFor();
    await ann.say(`/auth ${await token({ rooms: ["lobby"], exp: undefined })}`);
    await ann.page.getByText("The new token does not expire").first().waitFor();
    await ann.room("den").waitFor({ state: "detached" });
    await ann.room("lobby").click();
    await ann.say("still here");
    await ann.reads("still here");
  });

  test("asks for a new token after the old one expired and rejoins the previous rooms", async (t) => {
    const { url } = await startServer(t, { authSecret, authGraceMs: 0 });
    const ann = await windows(t, open)(url);
    await present(ann, await token());
    await ann.enter("ann", "lobby");
    await ann.say("/join den");
    await ann.reads("ann joined den");
    await ann.say(`/auth ${await brief()}`);
    await asksFor(ann, "Your token has expired and was not renewed. Enter a new one below.");
    await present(ann, await token());
    await field(ann).press("Enter");
    await ann.reads("Caught up, nothing missed");
    await ann.say("/bye");
    await ann.page.getByRole("alert").getByText("You said bye.", { exact: true }).waitFor();
  });

  test("shows the new user after connecting with another user's token", async (t) => {
    const { url } = await startServer(t, { authSecret });
    const ann = await windows(t, open)(url);
    await present(ann, await token());
    await ann.enter("me", "lobby");
    await ann.reads("Connected as ann, in lobby");
    await ann.page.getByRole("button", { name: "Disconnect" }).click();
    await present(ann, await token({ sub: "bob" }));
    await field(ann).press("Enter");
    await ann.reads("Connected as bob, in lobby");
    await ann.page.getByRole("definition").getByText("bob", { exact: true }).waitFor();
  });

  test("does not take the focus from a user who is typing", async (t) => {
    const { url, port, app } = await startServer(t, { authSecret });
    const ann = await windows(t, open)(url);
    await present(ann, await token());
    await ann.enter("ann", "lobby");
    await ann.line.fill("half a sen");
    await app.close();
    await ann.status("reconnecting");
    await startServer(t, { authSecret: authSecret.toUpperCase() }, { port });
    await ann.page.getByRole("alert").getByText("Your token is not valid. Enter another one.").waitFor();
    await ann.page.keyboard.type("tence");
    assert.equal(await ann.line.inputValue(), "half a sentence");
  });
});
