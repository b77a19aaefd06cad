import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { describe, type TestContext, test } from "node:test";
import { WebSocket } from "ws";
import { connect, enter, next } from "./support/client.ts";
import { type AnyClient, generations } from "./support/generations.ts";
import { engineUrl, openPolling } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";

/** A client whose session id a thief tries to use. */
interface Victim {
  sid: string;
  eio: number;
  transport: "polling" | "websocket";
  ask(...args: unknown[]): Promise<unknown>;
}

const eioOf = (version: string) => (version < "3" ? 3 : 4);

async function startVictim(
  t: TestContext,
  url: string,
  version: string,
  transport: "polling" | "websocket",
  options: object = {},
): Promise<Victim & { socket: AnyClient }> {
  const connectWith = generations.find((generation) => generation.version === version)?.connect;
  assert.ok(connectWith);
  const socket = connectWith(url, { forceNew: true, transports: [transport], ...options });
  t.after(() => socket.disconnect());
  await next(socket, "res");
  const { id } = socket.io.engine as unknown as { id: string };
  return {
    sid: id,
    eio: eioOf(version),
    transport,
    socket,
    ask: (...args) => new Promise((ack) => socket.emit(...(args as [string]), ack)),
  };
}

/** How a thief, another client that knows the session id, sends its requests. */
interface Thief {
  localAddress?: string;
  headers?: Record<string, string>;
  eio?: number;
}

/** Sends a request with the victim's session id. @returns the status and the body */
async function send(url: string, method: string, { sid, eio: own }: Victim, thief: Thief) {
  const { localAddress, headers, eio = own } = thief;
  const asked = request(engineUrl(url, "polling", `sid=${sid}`, eio), { method, localAddress, headers });
  asked.end(method === "POST" ? (eio === 3 ? '16:42["chat","gotcha"]' : '42["chat","gotcha"]') : undefined);
  const [response] = await once(asked, "response");
  let body = "";
  for await (const part of response) body += part;
  return [response.statusCode, body];
}

/** Tries to upgrade the victim's session. @returns the status and the body of the refusal */
async function upgrade(url: string, { sid, eio: own }: Victim, { localAddress, headers, eio = own }: Thief) {
  const ws = new WebSocket(engineUrl(url, "websocket", `sid=${sid}`, eio), { localAddress, headers });
  ws.on("error", () => {});
  return Promise.race([
    once(ws, "open").then(() => {
      ws.terminate();
      return [101, ""];
    }),
    once(ws, "unexpected-response").then(async ([, response]) => {
      let body = "";
      for await (const part of response) body += part;
      return [response.statusCode, body];
    }),
  ]);
}

const unknown = [400, '{"code":1,"message":"Session ID unknown"}'];
const versions = ["2.5.0", "4.8.4"];

describe("only the client and the server learn the session id:", () => {
  for (const version of ["1.7.4", "2.5.0", "4.8.4"]) {
    for (const transport of ["polling", "websocket"] as const) {
      for (const namespace of ["/", "/chat"] as const) {
        test(`${version} over ${transport} on ${namespace}`, async (t) => {
          const { url, logs, app } = await startServer(t);
          const ann = await enter(t, url + namespace, "ann", "lobby");
          const victim = await startVictim(t, url + namespace, version, transport, {
            query: { room: "lobby" },
          });
          await victim.ask("chat", "hello");
          await victim.ask("join", "den");
          await victim.ask("leave", "den");
          await victim.ask("leave", "nowhere");
          await victim.ask("chat", {});
          victim.socket.disconnect();
          await ann.hears("disconnected!");
          await until(() => assert.equal(logs.filter(({ msg }) => msg === "disconnected").length, 1));
          const visible = JSON.stringify([ann.messages, logs, await app.roomcast.metrics.metrics()]);
          assert.equal(visible.includes(victim.sid), false);
          const userId = ann.messages.find(({ text }) => text === "<= hello")?.userId;
          assert.match(String(userId), /^[\w-]{20}$/);
          const [, , gone] = logs.filter(({ msg }) => msg === "connected" || msg === "disconnected");
          assert.deepEqual([gone?.id, gone?.userId], [userId, userId]);
        });
      }
    }
  }

  test("when the handshake of an Engine.IO 3 client is refused", async (t) => {
    const { url, logs } = await startServer(t);
    const session = await openPolling(url, "userId=", 3);
    await until(() => assert.equal(logs.filter(({ msg }) => msg === "handshake refused").length, 1));
    const sid = String(new URL(session).searchParams.get("sid"));
    assert.equal(JSON.stringify(logs).includes(sid), false);
  });
});

describe("a session id is of no use to", () => {
  const forwarded = (address: string) => ({ headers: { "x-forwarded-for": address } });
  const origin = (name: string) => ({ headers: { origin: `https://${name}.example` } });
  const listed = { origins: ["https://a.example", "https://b.example"] };
  const cases: [who: string, options: object, own: object, thief: (victim: Victim) => Thief][] = [
    ["another address", {}, {}, () => ({ localAddress: "127.0.0.2" })],
    [
      "another address behind the proxy",
      { trustProxy: ["loopback"] },
      { extraHeaders: forwarded("192.0.2.1").headers },
      () => forwarded("192.0.2.2"),
    ],
    [
      "another IPv6 network behind the proxy",
      { trustProxy: ["loopback"] },
      { extraHeaders: forwarded("2001:db8::1").headers },
      () => forwarded("2001:db8:0:1::1"),
    ],
    ["a page of another origin", listed, { extraHeaders: origin("a").headers }, () => origin("b")],
    ["a page, if a program opened the session", listed, {}, () => origin("b")],
    ["a program, if a page opened the session", listed, { extraHeaders: origin("a").headers }, () => ({})],
    ["another protocol version", {}, {}, ({ eio }) => ({ eio: 7 - eio })],
  ];
  for (const [who, options, own, thiefOf] of cases) {
    for (const version of versions) {
      for (const transport of ["polling", "websocket"] as const) {
        test(`${who}: ${version} over ${transport} continues undisturbed`, async (t) => {
          const { url } = await startServer(t, options);
          const ann = await enter(t, url, "ann", "lobby");
          const victim = await startVictim(t, url, version, transport, { ...own, query: { room: "lobby" } });
          const thief = thiefOf(victim);
          for (const method of ["GET", "POST"]) {
            assert.deepEqual(await send(url, method, victim, thief), unknown, method);
          }
          assert.deepEqual(await upgrade(url, victim, thief), unknown);
          assert.equal(await victim.ask("notice", "still me"), "have still me");
          assert.equal(ann.texts.includes("<= gotcha"), false);
        });
      }
    }
  }

  test("a request that percent-encodes the name of the sid parameter", async (t) => {
    const { url } = await startServer(t);
    const victim = await startVictim(t, url, "2.5.0", "polling");
    const asked = request(engineUrl(url, "polling", `%73id=${victim.sid}`, 3), { localAddress: "127.0.0.2" });
    const [response] = await once(asked.end(), "response");
    assert.equal(response.statusCode, 400);
    assert.equal(await victim.ask("notice", "still me"), "have still me");
  });
});

describe("a session can be upgraded only once:", () => {
  for (const version of versions) {
    for (const transports of [["websocket"], ["polling", "websocket"]]) {
      test(`${version} over ${transports.join(" upgraded to ")}`, async (t) => {
        const { url } = await startServer(t);
        const victim = await startVictim(t, url, version, transports[0] as "polling", { transports });
        const { engine } = victim.socket.io;
        await until(() => assert.equal(engine.transport.name, "websocket"));
        await until(async () => assert.deepEqual(await upgrade(url, victim, {}), unknown));
        assert.equal(await victim.ask("notice", "still me"), "have still me");
      });
    }
  }

  test("one request at a time", async (t) => {
    const { url } = await startServer(t);
    const sid = String(new URL(await openPolling(url)).searchParams.get("sid"));
    const first = new WebSocket(engineUrl(url, "websocket", `sid=${sid}`));
    t.after(() => first.terminate());
    await once(first, "open");
    const victim: Victim = { sid, eio: 4, transport: "polling", ask: async () => {} };
    assert.deepEqual(await upgrade(url, victim, {}), unknown);
    first.send("2probe");
    assert.equal(String((await once(first, "message"))[0]), "3probe");
  });
});

describe("a session may be used from", () => {
  const poll = async (url: string, began: Record<string, string>, later: Record<string, string>) => {
    const opened = await (await fetch(engineUrl(url, "polling"), { headers: began })).text();
    const sid = /"sid":"([^"]+)"/.exec(opened)?.[1];
    const session = engineUrl(url, "polling", `sid=${sid}`);
    return (await fetch(session, { method: "POST", headers: later, body: "40" })).status;
  };
  const cases: [what: string, began: string, later: string, status: number][] = [
    ["another address of the same IPv6 network", "2001:db8::1", "2001:db8::2", 200],
    ["an address of the other IP version", "2001:db8::1", "192.0.2.1", 200],
    ["the same IPv4 address written as IPv6", "::ffff:192.0.2.1", "192.0.2.1", 200],
    ["another port of the same address", "192.0.2.1:80", "192.0.2.1:81", 200],
    ["no other address of the same IP version", "192.0.2.1", "192.0.2.2", 400],
  ];
  for (const [what, began, later, status] of cases) {
    test(what, async (t) => {
      const { url } = await startServer(t, { trustProxy: ["loopback"] });
      const from = (address: string) => ({ "x-forwarded-for": address });
      assert.equal(await poll(url, from(began), from(later)), status);
    });
  }

  test("the server's own page, which sends its origin only with POST requests", async (t) => {
    const { url } = await startServer(t);
    assert.equal(await poll(url, {}, { origin: url }), 200);
    assert.equal(await poll(url, { origin: url }, {}), 200);
  });

  test("a page behind a proxy that replaces Host, but only with the first origin it sent", async (t) => {
    const origins = ["https://a.example", "https://b.example"];
    const { url } = await startServer(t, { origins, trustProxy: ["loopback"] });
    const session = await openPolling(url);
    const post = async (headers: Record<string, string>, body: string) =>
      (await fetch(session, { method: "POST", headers, body })).status;
    assert.equal(await post({ origin: "https://a.example" }, "40"), 200);
    assert.equal((await fetch(session)).status, 200);
    assert.equal(await post({ origin: "https://b.example" }, '42["notice","x"]'), 400);
  });
});

test("counts and logs the refused use of a session", async (t) => {
  const server: RunningServer = await startServer(t);
  const victim = await startVictim(t, server.url, "2.5.0", "polling");
  await send(server.url, "POST", victim, { localAddress: "127.0.0.2" });
  const line = server.logs.find(({ code }) => code === "foreign_session");
  assert.equal(line?.address, "127.0.0.2");
  assert.match(await server.app.roomcast.metrics.metrics(), /refusals_total\{code="foreign_session"\} 1\n/);
  await connect(t, server.url);
});
