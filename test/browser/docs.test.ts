import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { accessible, fits, looks } from "../support/appearance.ts";
import { useBrowser } from "../support/browser.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";
import { windows } from "./window.ts";

const paths = readdirSync(new URL("../../asset/docs", import.meta.url)).map((file) =>
  file.replace(/\.md$/, "").replace(/^index$/, ""),
);

describe("the documentation in a browser", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  for (const [look, options] of Object.entries(looks)) {
    test(`${look}: every page passes axe and fits its window`, async (t) => {
      const { url } = await startServer(t);
      const { page } = await windows(t, open)(`${url}/docs/`, options);
      for (const path of paths) {
        await page.goto(`${url}/docs/${path}`);
        await accessible(page, path);
        await fits(page, path);
      }
    });
  }

  test("the start page links to the documentation, its menu to pages and its contents list to sections", async (t) => {
    const { url } = await startServer(t);
    const { page } = await windows(t, open)(url);
    await page.getByRole("link", { name: "Documentation" }).click();
    await page
      .getByRole("navigation", { name: "Documentation" })
      .getByRole("link", { name: "Tokens" })
      .click();
    await page
      .getByRole("navigation", { name: "On this page" })
      .getByRole("link", { name: "Claims" })
      .click();
    assert.equal(page.url(), `${url}/docs/tokens#claims`);
    const top = await page.locator("#claims").evaluate((heading) => heading.getBoundingClientRect().top);
    assert.ok(top >= 0 && top < 200, `the section is at ${top} px`);
  });
});
