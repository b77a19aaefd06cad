import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, test } from "node:test";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { runScript } from "../support/script.ts";
import { startServer } from "../support/server.ts";
import { type Window, windows } from "./window.ts";

const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };

/** Copies the start page's code in a language, for a user and a room whose names need escaping. */
async function copyCode({ page }: Window, language: string): Promise<string> {
  await page.getByLabel("Name", { exact: true }).fill('ann "the" <first>');
  await page.getByLabel("Room", { exact: true }).fill("d\\en");
  await page.getByRole("button", { name: language }).click();
  await page.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied the code").waitFor({ state: "attached" });
  return page.evaluate(() => navigator.clipboard.readText());
}

describe("the page's code to copy", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  test("JavaScript connects and says hello", async (t) => {
    const { url } = await startServer(t);
    const bob = await enter(t, url, "bob", "d\\en");
    const code = await copyCode(await windows(t, open)(url, clipboard), "JavaScript");
    const output = await runScript(t, `${code}\nsocket.emit("notice", "", () => socket.disconnect());`);
    assert.equal((await bob.hears("<= hello")).userId, 'ann "the" <first>');
    assert.match(output, /recipients: 2/);
  });

  test("Python connects and says hello", { skip: skipWithout("python3-socketio") }, async (t) => {
    const { url } = await startServer(t);
    const bob = await enter(t, url, "bob", "d\\en");
    const code = await copyCode(await windows(t, open)(url, clipboard), "Python");
    const python = spawn("/usr/bin/python3", ["-c", code], { stdio: ["ignore", "ignore", "inherit"] });
    t.after(() => python.kill());
    assert.equal((await bob.hears("<= hello")).userId, 'ann "the" <first>');
    python.kill();
    await once(python, "exit");
  });
});
