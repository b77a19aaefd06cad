import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Message } from "../src/protocol.ts";
import { enter, next } from "./support/client.ts";
import { type AnyClient, generations } from "./support/generations.ts";
import { skipWithout } from "./support/programs.ts";
import { openRaw } from "./support/raw.ts";
import { startServer } from "./support/server.ts";

const transports = {
  polling: ["polling"],
  websocket: ["websocket"],
  "polling with an upgrade": ["polling", "websocket"],
};

/** Runs what every client must support: connect, join, chat, notice, msg, leave, bye. */
async function scenario(t: TestContext, socket: AnyClient, upgrades: boolean, text: string): Promise<void> {
  t.after(() => socket.disconnect());
  const heard: Message[] = [];
  const upgraded = new Promise<void>((resolve) =>
    socket.once("connect", () => {
      const { engine } = socket.io;
      if (upgrades && engine.transport.name === "polling") engine.once("upgrade", resolve);
      else resolve();
    }),
  );
  socket.on("res", (message) => heard.push(message));
  // biome-ignore lint/suspicious/noExplicitAny: the server may reply with any value
  const ask = (...args: [string, ...unknown[]]) => new Promise<any>((ack) => socket.emit(...args, ack));

  await next(socket, "res");
  assert.deepEqual([heard[0]?.text, heard[0]?.userId, heard[0]?.rooms], ["connected!", "ann", ["hall"]]);
  const { offset, ...joined } = await ask("join", "lobby");
  const membership = { room: "lobby", rooms: ["hall", "lobby"], members: 1 };
  assert.deepEqual(joined, { ...membership, status: "new", missed: 0 });
  assert.match(offset, /^\w+:0$/);
  const receipt = await ask("chat", text);
  assert.equal(receipt.recipients, 3);
  await upgraded;
  const reply = next(socket, "reply");
  assert.equal(await ask("notice", text), `have ${text}`);
  assert.deepEqual(await reply, [`have ${text}`]);
  assert.equal(await ask("msg", text), `recv ${text}`);
  assert.deepEqual(await ask("leave", "lobby"), { room: "lobby", rooms: ["hall"], members: 0 });
  assert.equal((await ask("leave", "lobby")).error.code, "not_in_room");
  if (upgrades) assert.equal(socket.io.engine.transport.name, "websocket");
  const bye = next(socket, "bye");
  const disconnected = next(socket, "disconnect");
  assert.equal(await ask("bye", "an argument, as the demo sends"), text);
  assert.equal((await bye)[0].text, text);
  assert.equal((await disconnected)[0], "io server disconnect");
  assert.deepEqual(
    heard.map((message) => [message.text, message.room]),
    [
      ["connected!", null],
      ["<= ann join hall", "hall"],
      ["<= ann join lobby", "lobby"],
      [`<= ${text}`, "hall"],
      [`<= ${text}`, "lobby"],
    ],
  );
}

/** Says long texts in the hall. @returns the texts as members hear them, and the epoch of their offsets */
async function speak(t: TestContext, url: string, count: number) {
  const ann = await enter(t, url, "ann", "hall");
  const texts = Array.from({ length: count }, (_, n) => `${n} ${"x".repeat(16_000)}`);
  const receipts = await Promise.all(texts.map((text) => ann.ask("chat", text)));
  const [epoch] = receipts[0].offsets.hall.split(":");
  return { said: texts.map((text) => `<= ${text}`), epoch };
}

for (const { version, connect } of generations) {
  describe(`socket.io-client ${version}`, () => {
    for (const [title, names] of Object.entries(transports)) {
      test(`supports every event over ${title}`, async (t) => {
        const { url } = await startServer(t);
        const bob = await enter(t, `${url}/chat`, "bob", "hall");
        const options = { transports: names, forceNew: true, query: { userId: "ann", room: "hall" } };
        // Over polling, 1.x encodes non-ASCII text differently from 2.x, and the server cannot tell them
        // apart.
        const text = version.startsWith("1.") && title !== "websocket" ? "hello" : "héllo 👋 世界";
        await scenario(t, connect(`${url}/chat`, options), names.length > 1, text);
        await bob.hears("<= ann leaved");
        assert.deepEqual(bob.texts.slice(2), ["<= ann join hall", `<= ${text}`, "<= ann leaved"]);
      });
    }

    for (const [title, names] of Object.entries(transports)) {
      test(`receives what it missed by a query, more than its send queue holds, over ${title}`, async (t) => {
        const { url } = await startServer(t);
        const { said, epoch } = await speak(t, url, 100);
        const query = { userId: "bob", room: "hall", since: JSON.stringify({ hall: `${epoch}:1` }) };
        const socket = connect(url, { forceNew: true, transports: names, query, reconnection: false });
        t.after(() => socket.disconnect());
        const heard: string[] = [];
        socket.on("res", ({ text, offset }: Message) => offset && heard.push(text));
        // Held back until the replay is over, and so is the POST that carries it.
        socket.on("connect", () => socket.emit("notice", "hello"));
        const [verdict] = await next(socket, "sync");
        assert.deepEqual(verdict, { room: "hall", offset: `${epoch}:100`, status: "complete", missed: 99 });
        assert.deepEqual(heard, said.slice(1));
      });
    }

    test("receives the reason when its handshake is refused", async (t) => {
      const { url } = await startServer(t);
      const socket = connect(url, { forceNew: true, transports: ["websocket"], query: { userId: "" } });
      t.after(() => socket.disconnect());
      const old = version < "3";
      const [error] = await next(socket, old ? "error" : "connect_error");
      assert.equal((old ? error : error.data).code, "bad_payload");
    });

    test("reconnects after the server restarts", async (t) => {
      const first = await startServer(t);
      const options = { forceNew: true, transports: ["websocket"], reconnectionDelay: 10 };
      const socket = connect(first.url, { ...options, query: { room: "hall" } });
      t.after(() => socket.disconnect());
      await next(socket, "res");
      const reconnected = next(socket, "connect");
      await first.app.close();
      const { app } = await startServer(t, {}, { port: first.port });
      await reconnected;
      assert.equal(app.roomcast.io.engine.clientsCount, 1);
    });
  });
}

test("the query of a 2.x client's namespace is used as its auth", async (t) => {
  const { url } = await startServer(t);
  const connect = generations.find(({ version }) => version === "2.5.0")?.connect;
  const query = `room=den&userId=ann&last=1&since=${encodeURIComponent('{"den":"other:1"}')}`;
  const socket = connect?.(`${url}/chat?${query}`, { forceNew: true, transports: ["websocket"] });
  assert.ok(socket);
  t.after(() => socket.disconnect());
  const synced = next(socket, "sync");
  const [greeting] = await next(socket, "res");
  assert.deepEqual([greeting.userId, greeting.rooms], ["ann", ["den"]]);
  assert.equal((await synced)[0].status, "gap");
});

test("a raw WebSocket client over Engine.IO 4 can use every event", async (t) => {
  const { url } = await startServer(t);
  const raw = await openRaw(t, url, "userId=ann&room=hall");
  raw.send("40/chat,");
  await raw.receives(/^42\/chat,\["res",.*<= ann join hall/);
  raw.send('42/chat,1["join","lobby"]', '42/chat,2["chat","hi"]', '42/chat,3["notice","n"]');
  const members = '"room":"lobby","rooms":\\["hall","lobby"\\],"members":1';
  await raw.receives(new RegExp(`^43/chat,1\\[{${members},"offset":"\\w+:0","status":"new","missed":0}\\]$`));
  await raw.receives(/^43\/chat,2\[\{"id":"\w+","rooms":\["hall","lobby"\],"recipients":2,"offsets":\{/);
  await raw.receives(/^42\/chat,\["reply","have n"\]$/);
  await raw.receives(/^43\/chat,3\["have n"\]$/);
  raw.send('42/chat,4["msg","m"]', '42/chat,5["leave","lobby"]', '42/chat,6["bye"]');
  await raw.receives(/^43\/chat,4\["recv m"\]$/);
  await raw.receives(/^43\/chat,5\[\{"room":"lobby","rooms":\["hall"\],"members":0\}\]$/);
  await raw.receives(/^42\/chat,\["bye",\{.*"text":"m"/);
  await raw.receives(/^43\/chat,6\["m"\]$/);
  await raw.receives(/^41\/chat,?$/);
});

describe("Debian's python3-socketio", { skip: skipWithout("python3-socketio") }, () => {
  for (const [title, names] of Object.entries(transports)) {
    test(`supports every event over ${title}`, async (t) => {
      const { url } = await startServer(t);
      const script = fileURLToPath(new URL("support/scenario.py", import.meta.url));
      const python = spawn("/usr/bin/python3", [script, url, ...names], {
        stdio: ["ignore", "inherit", "inherit"],
      });
      t.after(() => python.kill());
      assert.deepEqual(await once(python, "exit"), [0, null]);
    });
  }
});
