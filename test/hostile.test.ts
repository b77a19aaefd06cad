import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import { connect as openTcp } from "node:net";
import { after, describe, test } from "node:test";
import { coreOf } from "../src/roomcast.ts";
import { client, connect, enter, next } from "./support/client.ts";
import { connectRaw, engineUrl, openPolling } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

/*
 * What a client may do wrong. Each costs the sender an error or its own connection and affects nobody else:
 * an uncaught exception fails the suite, and a new client is served after each.
 */

const faults: unknown[] = [];
process.on("uncaughtException", (error) => faults.push(error));
process.on("unhandledRejection", (error) => faults.push(error));
after(() => assert.deepEqual(faults, []));

async function servesNewcomer(t: Parameters<typeof startServer>[0], { url, logs }: RunningServer) {
  const newcomer = await enter(t, url, "newcomer", `after ${randomUUID()}`);
  assert.equal((await newcomer.ask("chat", "still here?")).recipients, 1);
  assert.deepEqual(
    logs.filter(({ level }) => Number(level) >= 50),
    [],
  );
}

const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

describe("refuses arguments of the wrong shape with a message:", () => {
  const wrong: [title: string, value: unknown, got: string][] = [
    ["null", null, "null"],
    ["a number", 7, "a number"],
    ["a boolean", true, "a boolean"],
    ["an object", { toString: "x" }, "an object"],
    ["an array", ["lobby"], "an array"],
    ["a nested array", JSON.parse(deep(100)), "an array"],
    ["a Buffer", Buffer.from("lobby"), "binary data"],
    ["10,000 characters too many", "x".repeat(26_384), "a string of length 26,384"],
  ];
  for (const event of ["join", "leave", "chat", "notice", "msg"]) {
    const field = event === "join" || event === "leave" ? "room" : "text";
    test(`${event} with each of them and with none`, async (t) => {
      const server = await startServer(t);
      const ann = await connect(t, `${server.url}/chat`);
      for (const [title, value, got] of wrong) {
        const { error } = await ann.ask(event, value);
        const isLongText = field === "text" && title === "10,000 characters too many";
        assert.equal(error.code, isLongText ? "too_large" : "bad_payload", title);
        assert.ok(error.message.startsWith(`${field}: expected `), error.message);
        assert.ok(error.message.endsWith(`, got ${got}.`), error.message);
      }
      assert.match((await ann.ask(event)).error.message, /, got nothing\.$/);
      assert.equal(
        (await ann.ask(event, "fine", null, { extra: 1 }, [2])).error?.code,
        {
          leave: "not_in_room",
        }[event],
      );
      await servesNewcomer(t, server);
    });
  }

  test("chat with a room of the wrong shape", async (t) => {
    const server = await startServer(t);
    const ann = await connect(t, server.url);
    assert.match((await ann.ask("chat", "hi", 7)).error.message, /^room: .*got a number/);
  });

  test("names that are empty or contain control characters or lone surrogates", async (t) => {
    const server = await startServer(t);
    const ann = await connect(t, server.url);
    for (const name of ["", "a\u0000b", "a\nb", "\u007f", "\u0085", "\ud800", "x\udfff"]) {
      assert.equal((await ann.ask("join", name)).error.code, "bad_payload", JSON.stringify(name));
    }
    await servesNewcomer(t, server);
  });
});

test("accepts any text of up to 16,384 characters", async (t) => {
  const { url } = await startServer(t);
  const ann = await connect(t, `${url}/chat`);
  for (const text of ["", "\u0000\u0001", "\ud800", "<script>alert(1)</script>", "👋".repeat(16_384)]) {
    assert.equal(await ann.ask("msg", text), `recv ${text}`);
  }
  assert.equal((await ann.ask("msg", "x".repeat(16_385))).error.code, "too_large");
});

test("handles an event with 40,000 arguments like any other", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send(`421["notice","first"${",0".repeat(40_000)}]`, `422["shout"${",0".repeat(40_000)}]`);
  assert.equal(await raw.receives(/^431/), '431["have first"]');
  assert.match(await raw.receives(/^432/), /unknown_event/);
  raw.send(`42["shout"${",0".repeat(200_000)}]`, `433${`[${"0,".repeat(40_000)}0]`}`);
  await raw.receives(/^42\["error",\{"event":"shout"/);
  await servesNewcomer(t, server);
});

test("ignores an argument in the place of an ack that is not a function", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send('42["join","lobby",{"ack":1},"function"]', '421["leave","lobby","() => {}"]');
  assert.match(await raw.receives(/^431/), /"members":0/);
  await servesNewcomer(t, server);
});

test("answers events named by a number or like a property of Object as unknown", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  const names = [0, "__proto__", "constructor", "toString", "hasOwnProperty", "", "x".repeat(10_000)];
  names.forEach((name, id) => {
    raw.send(`42${id}${JSON.stringify([name, "x"])}`);
  });
  for (const id of names.keys()) assert.match(await raw.receives(new RegExp(`^43${id}\\[`)), /unknown_event/);
  raw.send(`42${JSON.stringify(["y".repeat(10_000)])}`);
  const told = await raw.receives(/^42\["error",\{"event":"yyy/);
  assert.ok(told.length < 500);
  await servesNewcomer(t, server);
});

test("refuses a 201st room until the client leaves another", async (t) => {
  const { url } = await startServer(t);
  const ann = await connect(t, url);
  for (let i = 0; i < 200; i++) await ann.ask("join", `r${i}`);
  assert.equal((await ann.ask("join", "one more")).error.code, "too_many_rooms");
  assert.equal((await ann.ask("join", "r7")).members, 1);
  await ann.ask("leave", "r7");
  assert.equal((await ann.ask("join", "one more")).members, 1);
});

test("refuses what is sent together with bye and delivers none of it", async (t) => {
  const server = await startServer(t);
  const ann = await enter(t, server.url, "ann", "lobby");
  const raw = await connectRaw(t, server.url, "userId=mallory&room=lobby");
  raw.send('421["bye"]', '422["bye"]', '423["join","lobby"]', '424["chat","boo","lobby"]');
  assert.equal(await raw.receives(/^431/), '431[""]');
  await raw.receives(/^41/);
  for (const id of [2, 3, 4]) {
    const reply = raw.frames.find((frame) => frame.startsWith(`43${id}`));
    if (reply) assert.match(reply, /"closing"/);
  }
  await ann.settled();
  assert.deepEqual(ann.texts.slice(2), ["<= mallory join lobby", "<= mallory leaved"]);
  await servesNewcomer(t, server);
});

test("ignores what follows bye in one polling payload", async (t) => {
  const server = await startServer(t);
  const ann = await enter(t, server.url, "ann", "lobby");
  const session = await openPolling(server.url, "userId=mallory&room=lobby");
  const post = (body: string) => fetch(session, { method: "POST", body });
  await post("40");
  await ann.hears("<= mallory join lobby");
  await post(['421["bye"]', '422["join","lobby"]', '423["bye"]', '424["chat","boo"]', "41"].join("\x1e"));
  await ann.hears("<= mallory leaved");
  await ann.settled();
  assert.equal(ann.texts.at(-1), "<= mallory leaved");
  await servesNewcomer(t, server);
});

test("a join in the same payload as the close packet has no effect", async (t) => {
  const server = await startServer(t);
  const session = await openPolling(server.url);
  await fetch(session, { method: "POST", body: "40" });
  await fetch(session, { method: "POST", body: '42["join","lobby"]\x1e1' });
  const ann = await connect(t, server.url);
  assert.equal((await ann.ask("join", "lobby")).members, 1);
});

test("a client that disconnects before its ack affects nobody else", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url, "userId=ghost&room=lobby");
  const ann = await enter(t, server.url, "ann", "lobby");
  raw.send('421["chat","boo"]', '422["join","den"]');
  raw.ws.terminate();
  await ann.hears("disconnected!");
  await servesNewcomer(t, server);
});

describe("invalid packets end only the sender's connection:", () => {
  const malformed: Record<string, (string | Buffer)[]> = {
    "an Engine.IO packet of unknown type": ["9"],
    "an empty frame": [""],
    "a ping in the wrong direction": ["2"],
    "a Socket.IO packet of unknown type": ["49"],
    "truncated JSON": ['42["join"'],
    "an event that is an object": ['42{"join":"lobby"}'],
    "an event without a name": ["42[]"],
    "an event with a reserved name": ['42["disconnect"]'],
    "an event named by an object": ['42[{"toString":"x"}]'],
    "a payload that is not JSON": ["42lobby"],
    "a connect with an array": ["40[]"],
    "a second connect": ["40"],
    "an event on a namespace that the client has not joined": ['42/chat,["msg","x"]'],
    "too many attachments": ['45100000-["join",{"_placeholder":true,"num":0}]'],
    "a number of attachments that is not a number": ['45x-["join"]'],
    "text where an attachment was announced": [
      '451-["join",{"_placeholder":true,"num":0}]',
      '42["join","lobby"]',
    ],
    "an attachment that was not announced": [Buffer.from([1, 2, 3])],
    "an attachment whose number is not a number": [
      '451-["join",{"_placeholder":true,"num":"length"}]',
      Buffer.from([1]),
    ],
    "deep JSON around an attachment": [
      `451-["join",${deep(100_000)},{"_placeholder":true,"num":0}]`,
      Buffer.from([1]),
    ],
    "a packet that is too large": [`42["notice","${"x".repeat(1_000_001)}"]`],
  };
  for (const [title, frames] of Object.entries(malformed)) {
    test(title, async (t) => {
      const server = await startServer(t);
      const ann = await enter(t, server.url, "ann", "lobby");
      const raw = await connectRaw(t, server.url, "userId=mallory&room=lobby");
      raw.send(...frames);
      await raw.closed();
      await ann.hears("disconnected!");
      await servesNewcomer(t, server);
    });
  }

  test("invalid polling payloads, in both versions of the protocol", async (t) => {
    const server = await startServer(t);
    for (const eio of [3, 4]) {
      for (const body of [
        "",
        "x",
        "9",
        "1:",
        "99999:4",
        "-1:4",
        "1e3:4",
        "4".repeat(1000),
        "\x1e\x1e",
        "b!!",
        "d=1",
      ]) {
        const opened = await (await fetch(engineUrl(server.url, "polling", "b64=1", eio))).text();
        const { sid } = JSON.parse(opened.slice(opened.indexOf("{"), opened.indexOf("}") + 1));
        const session = engineUrl(server.url, "polling", `b64=1&sid=${sid}`, eio);
        await fetch(session, { method: "POST", body }).then((response) => response.text());
        const headers = { "content-type": "application/octet-stream" };
        const binary = Buffer.from([0, 1, 1, 1, 1, 255, ...Buffer.from(body)]);
        await fetch(session, { method: "POST", body: binary, headers }).then((response) => response.text());
      }
    }
    await servesNewcomer(t, server);
  });
});

test("refuses deep JSON without an attachment as an argument of the wrong shape", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send(`421["join",${deep(100_000)}]`);
  assert.match(await raw.receives(/^431/), /got an array/);
  await servesNewcomer(t, server);
});

test("attachments that never arrive block nobody else", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send('451-["join",{"_placeholder":true,"num":0}]');
  await servesNewcomer(t, server);
  raw.ws.terminate();
  await servesNewcomer(t, server);
});

describe("invalid requests:", () => {
  const requests: Record<string, string> = {
    "answers 400 to a request without a transport": "EIO=4",
    "answers 400 to a transport named like a property of Object": "EIO=4&transport=__proto__",
    "answers 400 to a session that does not exist": "EIO=4&transport=polling&sid=__proto__",
    "answers 400 to a WebSocket without an upgrade": "EIO=4&transport=websocket",
    "answers 400 to a query that is not UTF-8": "EIO=4&transport=%ff%fe",
  };
  for (const [title, query] of Object.entries(requests)) {
    test(title, async (t) => {
      const server = await startServer(t);
      const response = await fetch(`${server.url}/socket.io/?${query}`);
      assert.equal(response.status, 400);
      assert.ok((await response.json()).message);
      await servesNewcomer(t, server);
    });
  }

  test("handles an upgrade to another protocol as a plain request", async (t) => {
    const { url } = await startServer(t);
    const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABk" };
    const [health] = await once(get(`${url}/healthz`, { headers }), "response");
    assert.deepEqual([health.statusCode, String(await once(health, "data"))], [200, '{"status":"ok"}']);
    const [opened] = await once(get(engineUrl(url, "polling"), { headers }), "response");
    assert.match(String(await once(opened, "data")), /^0\{"sid"/);
    const [page] = await once(get(url, { headers }), "response");
    assert.equal(page.statusCode, 200);
    page.destroy();
  });

  test("answers 404 to an upgrade of another path, which the client then resets", async (t) => {
    const server = await startServer(t);
    for (const path of ["/", "/socket.io", "/elsewhere?transport=websocket"]) {
      const socket = openTcp(server.port, "127.0.0.1");
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
      const [answer] = await once(socket, "data");
      assert.match(String(answer), /^HTTP\/1.1 404 /);
      socket.resetAndDestroy();
    }
    await servesNewcomer(t, server);
  });
});

describe("disconnects a client that requests much and reads nothing, and bounds its memory:", () => {
  const long = (n: number) => `${n}`.padStart(128, "x");
  const chats = Array.from({ length: 1_000 }, () => '42["chat",""]');
  const megabytes = () => process.memoryUsage().rss / 1e6;

  for (const count of [100, 200]) {
    test(`over polling, never polled, in ${count} rooms`, async (t) => {
      const rooms = Array.from({ length: count }, (_, n) => long(n));
      const server = await startServer(t);
      const ann = await enter(t, server.url, "ann", long(0));
      const before = megabytes();
      for (let n = 0; n < 10; n++) {
        const session = await openPolling(server.url);
        await fetch(session, { method: "POST", body: `40${JSON.stringify({ room: rooms })}` });
        await fetch(session, { method: "POST", body: chats.join("\x1e") });
      }
      await until(() => assert.equal(server.app.roomcast.io.engine.clientsCount, 1));
      // The server did not carry out what the client had sent beyond its bound.
      await ann.settled();
      assert.ok(ann.texts.filter((text) => text === "<= ").length < 1_000);
      assert.ok(megabytes() - before < 400, `grew by ${megabytes() - before} MB`);
      await servesNewcomer(t, server);
    });
  }
});

test("disconnects a client that answers no ping and announces it to its rooms", async (t) => {
  const { url } = await startServer(t, { pingIntervalMs: 30, pingTimeoutMs: 30 });
  const ann = await enter(t, url, "ann", "lobby");
  const raw = await connectRaw(t, url, "userId=mute&room=lobby");
  await raw.closed();
  assert.equal((await ann.hears("disconnected!")).userId, "mute");
});

test("logs an internal fault with its stack and reports it to the client only as internal", async (t) => {
  const { url, app, logs } = await startServer(t);
  const ann = await connect(t, url);
  const [root] = coreOf(app).dispatchers;
  const [member] = root?.namespace.rooms.hub.connections ?? [];
  Object.defineProperty(member, "context", {
    set() {
      throw new Error("a secret of the server");
    },
  });
  const { error } = await ann.ask("chat", "hi");
  assert.equal(error.code, "internal");
  assert.ok(!JSON.stringify(error).includes("secret"));
  const fault = logs.find(({ level }) => level === 50) as { err: { message: string; stack: string } };
  assert.equal(fault.err.message, "a secret of the server");
  assert.match(fault.err.stack, /message-events\.ts/);
  assert.equal(await ann.ask("notice", "alive"), "have alive");
});

test("a refused client may retry on the same connection", async (t) => {
  const { url } = await startServer(t);
  const socket = client(t, url, { auth: { userId: 7 } });
  await next(socket, "connect_error");
  socket.auth = { userId: "ann" };
  const greeted = next(socket, "res");
  socket.connect();
  assert.equal((await greeted)[0].userId, "ann");
});
