import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { useBrowser } from "../support/browser.ts";
import { enter } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";

/** As in the documentation. */
const pageFor = (url: string) => `<!doctype html>
<script type="module">
  import { io } from "${url}/socket.io/socket.io.esm.min.js";
  import { roomClient } from "${url}/socket.io/roomcast-client.js";
  window.client = roomClient(io("${url}", { auth: { userId: "ann", room: "lobby" } }));
</script>`;

describe("the client helper", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  test("runs in a page of another origin", async (t) => {
    let url = "";
    const site = createServer((_request, response) =>
      response.writeHead(200, { "content-type": "text/html" }).end(pageFor(url)),
    ).listen(0, "127.0.0.1");
    t.after(() => site.close());
    await once(site, "listening");
    const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    ({ url } = await startServer(t, { origins: [origin] }));
    const bob = await enter(t, url, "bob", "lobby");
    const page = await open();
    await page.goto(origin);
    await page.waitForFunction("window.client");
    assert.equal(await page.evaluate("client.chat('hello').then(({ recipients }) => recipients)"), 2);
    assert.equal(await page.evaluate("client.leave('den').catch(({ code }) => code)"), "not_in_room");
    await bob.hears("<= hello");
  });
});
