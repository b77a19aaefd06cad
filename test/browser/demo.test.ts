import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { useBrowser } from "../support/browser.ts";
import { next } from "../support/client.ts";
import { skipWithout } from "../support/programs.ts";
import { startServer } from "../support/server.ts";

const client = createRequire(import.meta.url).resolve("socket.io-client-1.2/socket.io.js");
const demo = new URL("../support/demo.html", import.meta.url);

function serveDemo(app: FastifyInstance): void {
  app.get("/demo.html", (_request, reply) => reply.type("text/html").send(readFileSync(demo)));
  app.get("/socket.io-1.2.0.js", (_request, reply) =>
    reply.type("text/javascript").send(readFileSync(client)),
  );
}

describe("the demo's page with socket.io-client 1.2.0", { skip: skipWithout("chromium") }, () => {
  const open = useBrowser();

  for (const transport of ["its default transports", "polling only"]) {
    test(`works over ${transport}`, async (t) => {
      const { url, app } = await startServer(t, {}, { prepare: serveDemo });
      const page = await open();
      t.after(() => page.context().close());
      if (transport === "polling only") {
        await page.addInitScript(() => Reflect.deleteProperty(globalThis, "WebSocket"));
      }
      const connected = next(app.roomcast.io.of("/chat"), "connection");
      await page.goto(`${url}/demo.html`);
      const [socket] = await connected;
      const upgraded = transport === "polling only" ? null : next(socket.conn, "upgrade");
      const said = (text: string) => page.locator("li", { hasText: text }).waitFor();
      const say = async (text: string) => {
        await page.fill("#m", text);
        await page.press("#m", "Enter");
      };
      await said("connected!");
      await say("hello");
      await said("have hello");
      await said("ACK CALLBACK: recv hello");
      await upgraded;
      assert.equal(socket.conn.transport.name, upgraded ? "websocket" : "polling");
      await say("again");
      await said("ACK CALLBACK: recv again");
      await say("bye");
      await said("BYE: nothing");
      await said("BYE ACK:");
    });
  }
});
