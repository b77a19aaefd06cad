import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { BrowserContextOptions, ConsoleMessage, Page } from "playwright-core";

/** Opens the page in windows of one test; an error in any of them fails the test when it ends. */
export function windows(t: TestContext, open: (options?: BrowserContextOptions) => Promise<Page>) {
  return async (address: string, options?: BrowserContextOptions): Promise<Window> => {
    const page = await open(options);
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && !isOfTheNetwork(message)) faults.push(message.text());
    });
    await page.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => console.error("CSP", event.violatedDirective));
    });
    await page.goto(address);
    t.after(async () => {
      await page.context().close();
      assert.deepEqual(faults, []);
    });
    return new Window(page);
  };
}

/** Whether the server is down, or a refused client polls once more while it closes its session. */
function isOfTheNetwork(message: ConsoleMessage): boolean {
  if (/ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET/.test(message.text())) return true;
  return /status of 400/.test(message.text()) && message.location().url.includes("transport=polling");
}

/** Uses the page as a person does. */
export class Window {
  readonly page: Page;

  constructor(page: Page) {
    this.page = page;
  }

  get line() {
    return this.page.locator("#line");
  }

  get log() {
    return this.page.getByRole("log");
  }

  /** Connects through the start page, as a first-time visitor does. */
  async enter(userId: string, room: string, namespace = "/"): Promise<void> {
    await this.page.getByLabel("Name", { exact: true }).fill(userId);
    await this.page.getByLabel("Room", { exact: true }).fill(room);
    await this.advanced();
    await this.page.getByLabel("Namespace").selectOption(namespace);
    await this.page.getByLabel("Room", { exact: true }).press("Enter");
    await this.status("connected");
  }

  /** Unfolds the form's namespace and token. */
  async advanced(): Promise<void> {
    const details = this.page.locator(".advanced");
    if ((await details.getAttribute("open")) === null) await details.locator("summary").click();
  }

  async say(text: string): Promise<void> {
    await this.status("connected");
    await this.line.fill(text);
    await this.line.press("Enter");
  }

  /** Waits until the visible timeline shows a line with this text. */
  async reads(text: string): Promise<void> {
    await this.log.locator(".text").getByText(text, { exact: true }).first().waitFor();
  }

  async status(status: string): Promise<void> {
    await this.page.locator(`[data-status="${status}"]`).waitFor();
  }

  /** A room's button in the list of rooms, which includes "Everything". */
  room(name: string) {
    return this.page.getByRole("navigation", { name: "Rooms" }).locator(".room").filter({ hasText: name });
  }

  /** Uses a tool of the header, which is in a menu on a phone. */
  async tool(name: string): Promise<void> {
    const menu = this.page.getByRole("button", { name: "Menu" });
    if (await menu.isVisible()) await menu.click();
    await this.page.getByRole("navigation", { name: "Tools" }).getByRole("button", { name }).click();
  }

  /** The member list of the visible room. */
  get members() {
    return this.page.getByRole("complementary", { name: "Members" });
  }

  get wire() {
    return this.page.getByRole("complementary", { name: "Wire" });
  }

  /** The texts of the visible timeline. */
  texts(): Promise<string[]> {
    return this.log.locator(".text").allTextContents();
  }
}
