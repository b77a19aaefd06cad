import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { connect } from "./support/client.ts";
import { engineUrl, openPolling, RawSocket } from "./support/raw.ts";
import { startServer } from "./support/server.ts";

test("a client that does not poll while it upgrades receives the rest of its replay after the upgrade", async (t) => {
  const { url } = await startServer(t, { sendQueueMaxBytes: 20_000 });
  const speaker = await connect(t, url, { query: { room: "lobby" } });
  const texts = Array.from({ length: 40 }, (_, n) => `${n} ${"x".repeat(2_000)}`);
  await Promise.all(texts.map((text) => speaker.ask("chat", text, "lobby")));

  const session = await openPolling(url);
  const post = async (body: string) => (await fetch(session, { method: "POST", body })).text();
  await post("40");
  await (await fetch(session)).text();
  const answered = post('420["join","lobby",{"last":40}]');
  const sid = new URL(session).searchParams.get("sid");
  const raw = new RawSocket(new WebSocket(engineUrl(url, "websocket", `sid=${sid}`)));
  t.after(() => raw.ws.terminate());
  raw.ws.on("open", () => raw.send("2probe"));
  await raw.receives(/^3probe$/);
  // As the stock client does: no poll, and no upgrade before the answer.
  assert.equal(await answered, "ok");
  raw.send("5");
  await raw.receives(/^430/);
  const replayed = raw.frames.filter((frame) => frame.startsWith("42") && frame.includes('"type":"chat"'));
  assert.deepEqual(
    replayed.map((frame) => JSON.parse(frame.slice(2))[1].text),
    texts.map((text) => `<= ${text}`),
  );
});
