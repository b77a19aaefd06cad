import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import { connect as openTcp } from "node:net";
import { after, describe, test } from "node:test";
import { client, connect, enter, next } from "./support/client.ts";
import { connectRaw, engineUrl, openPolling, openRaw } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

/*
 * What a client may do wrong. Each costs the sender an error or its own connection, and nobody else
 * anything: an exception that nobody caught would fail the test, and a newcomer is served after each.
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

describe("arguments of the wrong shape are answered in words:", () => {
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
    test(`${event} with each of them, and with nothing`, async (t) => {
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

  test("a chat to a room of the wrong shape", async (t) => {
    const server = await startServer(t);
    const ann = await connect(t, server.url);
    assert.match((await ann.ask("chat", "hi", 7)).error.message, /^room: .*got a number/);
  });

  test("names with control characters, half a surrogate pair, or nothing in them", async (t) => {
    const server = await startServer(t);
    const ann = await connect(t, server.url);
    for (const name of ["", "a\u0000b", "a\nb", "\u007f", "\u0085", "\ud800", "x\udfff"]) {
      assert.equal((await ann.ask("join", name)).error.code, "bad_payload", JSON.stringify(name));
    }
    await servesNewcomer(t, server);
  });
});

test("a text is any text, to 16,384 characters", async (t) => {
  const { url } = await startServer(t);
  const ann = await connect(t, `${url}/chat`);
  for (const text of ["", "\u0000\u0001", "\ud800", "<script>alert(1)</script>", "👋".repeat(16_384)]) {
    assert.equal(await ann.ask("msg", text), `recv ${text}`);
  }
  assert.equal((await ann.ask("msg", "x".repeat(16_385))).error.code, "too_large");
});

test("one event with 40,000 arguments is an event like any other", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send(`421["notice","first"${",0".repeat(40_000)}]`, `422["shout"${",0".repeat(40_000)}]`);
  assert.equal(await raw.receives(/^431/), '431["have first"]');
  assert.match(await raw.receives(/^432/), /unknown_event/);
  raw.send(`42["shout"${",0".repeat(200_000)}]`, `433${`[${"0,".repeat(40_000)}0]`}`);
  await raw.receives(/^42\["error",\{"event":"shout"/);
  await servesNewcomer(t, server);
});

test("an ack that is not a function is an argument, and ignored", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send('42["join","lobby",{"ack":1},"function"]', '421["leave","lobby","() => {}"]');
  assert.match(await raw.receives(/^431/), /"members":0/);
  await servesNewcomer(t, server);
});

test("an event may be a number or named like something of Object's", async (t) => {
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

test("a 201st room is refused, and one that is left makes room", async (t) => {
  const { url } = await startServer(t);
  const ann = await connect(t, url);
  for (let i = 0; i < 200; i++) await ann.ask("join", `r${i}`);
  assert.equal((await ann.ask("join", "one more")).error.code, "too_many_rooms");
  assert.equal((await ann.ask("join", "r7")).members, 1);
  await ann.ask("leave", "r7");
  assert.equal((await ann.ask("join", "one more")).members, 1);
});

test("what is sent in the same breath as bye is refused and reaches nobody", async (t) => {
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

test("bye and what follows it in one polling payload", async (t) => {
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

test("an event in the same payload as the end of its connection joins nothing", async (t) => {
  const server = await startServer(t);
  const session = await openPolling(server.url);
  await fetch(session, { method: "POST", body: "40" });
  await fetch(session, { method: "POST", body: '42["join","lobby"]\x1e1' });
  const ann = await connect(t, server.url);
  assert.equal((await ann.ask("join", "lobby")).members, 1);
});

test("a client that is gone before its ack is nobody's loss", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url, "userId=ghost&room=lobby");
  const ann = await enter(t, server.url, "ann", "lobby");
  raw.send('421["chat","boo"]', '422["join","den"]');
  raw.ws.terminate();
  await ann.hears("disconnected!");
  await servesNewcomer(t, server);
});

describe("packets that are none cost the sender its own connection:", () => {
  const malformed: Record<string, (string | Buffer)[]> = {
    "an Engine.IO packet of no known type": ["9"],
    "an empty frame": [""],
    "a ping in the wrong direction": ["2"],
    "a Socket.IO packet of no known type": ["49"],
    "JSON that ends early": ['42["join"'],
    "an event that is an object": ['42{"join":"lobby"}'],
    "an event without a name": ["42[]"],
    "an event with a reserved name": ['42["disconnect"]'],
    "an event named by an object": ['42[{"toString":"x"}]'],
    "a payload that is no JSON": ["42lobby"],
    "a connect with an array": ["40[]"],
    "a second connect": ["40"],
    "an event on a namespace it is not on": ['42/chat,["msg","x"]'],
    "too many attachments": ['45100000-["join",{"_placeholder":true,"num":0}]'],
    "attachments of no number": ['45x-["join"]'],
    "text where an attachment was announced": [
      '451-["join",{"_placeholder":true,"num":0}]',
      '42["join","lobby"]',
    ],
    "an attachment that nobody announced": [Buffer.from([1, 2, 3])],
    "an attachment with a number that is none": [
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

  test("polling payloads of no kind, in both versions of the protocol", async (t) => {
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

test("deep JSON without an attachment is an argument of the wrong shape", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send(`421["join",${deep(100_000)}]`);
  assert.match(await raw.receives(/^431/), /got an array/);
  await servesNewcomer(t, server);
});

test("attachments that never come keep nobody waiting", async (t) => {
  const server = await startServer(t);
  const raw = await connectRaw(t, server.url);
  raw.send('451-["join",{"_placeholder":true,"num":0}]');
  await servesNewcomer(t, server);
  raw.ws.terminate();
  await servesNewcomer(t, server);
});

describe("requests that are none are refused by HTTP:", () => {
  const requests: Record<string, string> = {
    "no transport": "EIO=4",
    "a transport of Object's": "EIO=4&transport=__proto__",
    "a session that does not exist": "EIO=4&transport=polling&sid=__proto__",
    "a WebSocket without an upgrade": "EIO=4&transport=websocket",
    "a query that is no UTF-8": "EIO=4&transport=%ff%fe",
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

  test("an upgrade to another protocol is a request like any other", async (t) => {
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

  test("an upgrade to somewhere else, reset at once", async (t) => {
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

describe("a client that asks for much and takes nothing is let go, and memory stays bounded:", () => {
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
      // What it had sent beyond its bound was not carried out.
      await ann.settled();
      assert.ok(ann.texts.filter((text) => text === "<= ").length < 1_000);
      assert.ok(megabytes() - before < 400, `grew by ${megabytes() - before} MB`);
      await servesNewcomer(t, server);
    });
  }

  test("over a WebSocket, never read", async (t) => {
    const server = await startServer(t, { sendQueueMaxBytes: 1_000_000 });
    const before = megabytes();
    const ann = await enter(t, server.url, "ann", "lobby");
    const raw = await openRaw(t, server.url, "userId=mute&room=lobby");
    raw.send("40");
    await ann.hears("<= mute join lobby");
    raw.ws.pause();
    while (!ann.texts.includes("disconnected!")) await ann.ask("chat", "x".repeat(16_000));
    assert.ok(megabytes() - before < 400, `grew by ${megabytes() - before} MB`);
    assert.ok(server.logs.some(({ userId, reason }) => userId === "mute" && reason === "slow consumer"));
    await servesNewcomer(t, server);
  });
});

test("a thousand handshakes that are dropped half-way leave no client behind", async (t) => {
  const server = await startServer(t);
  for (let i = 0; i < 1_000; i += 50) {
    const raws = await Promise.all(Array.from({ length: 50 }, () => openRaw(t, server.url)));
    for (const [index, raw] of raws.entries()) {
      if (index % 2) raw.send("40");
      raw.ws.terminate();
    }
  }
  await servesNewcomer(t, server);
});

test("a client that never connects to a namespace is let go after the connect timeout", async (t) => {
  const { url } = await startServer(t, { handshakeTimeoutMs: 50 });
  const raw = await openRaw(t, url);
  await raw.closed();
});

test("a client that answers no ping is let go, and its rooms are told", async (t) => {
  const { url } = await startServer(t, { pingIntervalMs: 30, pingTimeoutMs: 30 });
  const ann = await enter(t, url, "ann", "lobby");
  const raw = await connectRaw(t, url, "userId=mute&room=lobby");
  await raw.closed();
  assert.equal((await ann.hears("disconnected!")).userId, "mute");
});

test("a fault of ours is logged with its stack and told only as internal", async (t) => {
  const { url, app, logs } = await startServer(t);
  const ann = await connect(t, url);
  const [socket] = app.roomcast.io.of("/").sockets.values();
  Object.defineProperty(socket?.data, "context", {
    set() {
      throw new Error("a secret of the server");
    },
  });
  const { error } = await ann.ask("chat", "hi");
  assert.equal(error.code, "internal");
  assert.ok(!JSON.stringify(error).includes("secret"));
  const fault = logs.find(({ level }) => level === 50) as { err: { message: string; stack: string } };
  assert.equal(fault.err.message, "a secret of the server");
  assert.match(fault.err.stack, /talk\.ts/);
  assert.equal(await ann.ask("notice", "alive"), "have alive");
});

test("one who is turned away may try again on the same connection", async (t) => {
  const { url } = await startServer(t);
  const socket = client(t, url, { auth: { userId: 7 } });
  await next(socket, "connect_error");
  socket.auth = { userId: "ann" };
  const greeted = next(socket, "res");
  socket.connect();
  assert.equal((await greeted)[0].userId, "ann");
});
