import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { BrowserContextOptions, Page } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** The colour schemes and window sizes in which every page is checked. */
export const looks: Record<string, BrowserContextOptions> = {
  light: { colorScheme: "light", viewport: { width: 1200, height: 720 } },
  dark: { colorScheme: "dark", viewport: { width: 1200, height: 720 } },
  "on a phone": { colorScheme: "light", viewport: { width: 320, height: 640 } },
};

/** Fails if axe finds violations on the page. */
export async function accessible(page: Page, state: string): Promise<void> {
  // Evaluated through the debugger, which the page's Content-Security-Policy does not block.
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => {
    // biome-ignore lint/suspicious/noExplicitAny: axe is a global of the page's
    const results = await (globalThis as any).axe.run({
      resultTypes: ["violations"],
      // The dark scheme changes only colours, which few of the rules are about.
      ...(matchMedia("(prefers-color-scheme: dark)").matches && {
        runOnly: ["color-contrast", "link-in-text-block"],
      }),
    });
    return results.violations.map(
      ({ id, nodes }: { id: string; nodes: { html: string }[] }) => `${id}: ${nodes.map(({ html }) => html)}`,
    );
  });
  assert.deepEqual(violations, [], state);
}

/** Fails if the page is wider than its window. */
export async function fits(page: Page, state: string): Promise<void> {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(excess <= 0, `${state}: ${excess} px too wide`);
}
