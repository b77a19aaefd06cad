import { after, before } from "node:test";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/**
 * Launches a Chromium for all tests of the calling suite.
 *
 * @returns a function that opens a page in a new browser context
 */
export function useBrowser(): (options?: BrowserContextOptions) => Promise<Page> {
  let browser: Browser;
  before(async () => {
    browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
      ],
    });
  });
  after(() => browser.close());
  return async (options) => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(10_000);
    return context.newPage();
  };
}
