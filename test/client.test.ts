import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { Server, type Socket as ServerSocket } from "socket.io";
import { io, type Socket } from "socket.io-client";
import { type RequestError, type RoomClient, type RoomClientOptions, roomClient } from "../src/client.ts";
import type { ChatEvents, Message, Sync } from "../src/protocol.ts";
import { type ClientOptions, enter, next } from "./support/client.ts";
import { Deferred } from "./support/deferred.ts";
import { chatEvents } from "./support/events.ts";
import { openLink } from "./support/faulty-link.ts";
import { generations } from "./support/generations.ts";
import { startServer } from "./support/server.ts";
import { authSecret, now, token } from "./support/tokens.ts";
import { until } from "./support/until.ts";

/** Connects soon after a loss, so that tests do not wait. */
const hasty: ClientOptions = {
  forceNew: true,
  transports: ["websocket"],
  reconnectionDelay: 10,
  reconnectionDelayMax: 50,
};

interface Recorded {
  client: RoomClient<ChatEvents>;
  messages: Message[];
  syncs: Sync[];
  /** The texts said in rooms. */
  said(): string[];
}

/** Wraps a socket and records what it hears. */
function record(t: TestContext, socket: Socket, options?: RoomClientOptions): Recorded {
  const client = roomClient<ChatEvents>(socket, options);
  t.after(() => socket.disconnect());
  const [messages, syncs]: [Message[], Sync[]] = [[], []];
  client.socket.on("res", (message) => messages.push(message));
  client.socket.on("sync", (sync) => syncs.push(sync));
  const said = () => messages.filter(({ type }) => type === "chat").map(({ text }) => text);
  return { client, messages, syncs, said };
}

/** A connected helper for ann, in these rooms. */
async function ann(t: TestContext, url: string, room: string[] = ["lobby"]): Promise<Recorded> {
  const recorded = record(t, io(url, { ...hasty, auth: { userId: "ann", room } }));
  await until(() => assert.equal(recorded.syncs.length, room.length));
  return recorded;
}

/** The error with which a request fails. */
const failure = (request: Promise<unknown>): Promise<RequestError> =>
  request.then(
    () => assert.fail("The request succeeded."),
    (error) => error,
  );

describe("the file", () => {
  test("is served to pages of every origin, minified to less than 2 kB, and imports nothing", async (t) => {
    const { url } = await startServer(t);
    const response = await fetch(`${url}/socket.io/roomcast-client.js`);
    const code = await response.text();
    assert.equal(response.headers.get("content-type"), "application/javascript; charset=utf-8");
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.ok(code.length < 2_000, `${code.length} bytes`);
    assert.doesNotMatch(code, /\bimport\b|\brequire\b/);
    const module = await import(`data:text/javascript,${encodeURIComponent(code)}`);
    assert.deepEqual(Object.keys(module), ["roomClient"]);
  });
});

describe("requests", () => {
  test("exist for every event of the protocol", async (t) => {
    const { client } = record(t, io("http://127.0.0.1:1", { autoConnect: false }));
    const { socket, since, ...requests } = client;
    assert.deepEqual(Object.keys(requests).toSorted(), chatEvents().toSorted());
  });

  test("resolve with the reply", async (t) => {
    const { url } = await startServer(t);
    const { client } = await ann(t, `${url}/chat`);
    assert.deepEqual((await client.join("den")).rooms, ["lobby", "den"]);
    assert.equal((await client.chat("hi", "den")).recipients, 1);
    assert.equal((await client.chat("hi", { room: "den", id: "mine" })).recipients, 1);
    assert.deepEqual((await client.chat("hi", { id: "mine" })).duplicate, true);
    assert.equal((await client.publish("den", { x: 1 }, { transient: true })).recipients, 1);
    assert.equal((await client.history("den", { limit: 1 })).messages[0]?.text, "<= hi");
    assert.equal((await client.who("den")).total, 1);
    assert.equal(await client.notice("hi"), "have hi");
    assert.equal(await client.msg("hi"), "recv hi");
    assert.equal(await client.bye(), "hi");
  });

  test("reject with the code of the server", async (t) => {
    const { url } = await startServer(t, { eventsPerSecond: 1, eventsBurst: 5 });
    const { client } = await ann(t, url);
    const error = await failure(client.leave("den"));
    assert.ok(error instanceof Error);
    assert.equal(error.code, "not_in_room");
    assert.equal((await failure(client.chat("hi", 7 as never))).code, "bad_payload");
    await Promise.allSettled(Array.from({ length: 4 }, () => client.notice("hi")));
    const limited = await failure(client.notice("hi"));
    assert.equal(limited.code, "rate_limited");
    assert.ok((limited.retryAfterMs as number) > 0);
  });

  test("reject with `timeout` if the server does not answer in time", async (t) => {
    const { port } = await startServer(t);
    const { link, url } = await openLink(t, port);
    const { client, syncs } = record(t, io(url, { ...hasty, auth: { room: "lobby" } }), { timeoutMs: 100 });
    await until(() => assert.equal(syncs.length, 1));
    link.stall();
    assert.equal((await failure(client.notice("hi"))).code, "timeout");
  });

  test("reject with `disconnected` when the client disconnects by itself", async (t) => {
    const { url } = await startServer(t);
    const { client } = await ann(t, url);
    const lost = [failure(client.notice("hi")), failure(client.chat("hi"))];
    client.socket.disconnect();
    for (const { code } of await Promise.all(lost)) assert.equal(code, "disconnected");
  });

  test("have a timeout of their own, whatever the socket's is", async (t) => {
    const { port } = await startServer(t);
    const { link, url } = await openLink(t, port);
    const { client } = record(t, io(url, { ...hasty, ackTimeout: 50 }), { timeoutMs: 1_000 });
    assert.equal(await client.notice("hi"), "have hi");
    link.stall();
    assert.equal((await failure(client.notice("hi"))).code, "timeout");
  });

  test("a socket that is connected cannot be wrapped", async (t) => {
    const { url } = await startServer(t);
    const { client } = await ann(t, url);
    assert.throws(() => roomClient(client.socket), /Already connected/);
  });
});

describe("reconnecting", () => {
  test("restores the rooms, and replays what was missed", async (t) => {
    const { port, url: direct } = await startServer(t);
    const { link, url } = await openLink(t, port);
    const { client, messages, syncs, said } = await ann(t, url, ["lobby", "hall"]);
    await client.join("den");
    await client.join("__proto__");
    await client.leave("hall");
    const bob = await enter(t, direct, "bob", "den");
    await client.chat("one", "den");
    link.cut();
    await bob.hears("disconnected!");
    for (const text of ["two", "three"]) await bob.ask("chat", text);
    await until(() => assert.equal(syncs.length, 5));
    assert.deepEqual(said(), ["<= one", "<= two", "<= three"]);
    assert.deepEqual(
      syncs.slice(2).map(({ room, status, missed }) => [room, status, missed]),
      [
        ["lobby", "complete", 0],
        ["den", "complete", 2],
        ["__proto__", "complete", 0],
      ],
    );
    const den = messages.filter(({ room }) => room === "den").findLast(({ offset }) => offset);
    assert.equal(client.since.den, den?.offset);
    assert.deepEqual(Object.keys(client.since).toSorted(), ["__proto__", "den", "lobby"]);
  });

  test("reports a gap after the server has restarted on the same port", async (t) => {
    const first = await startServer(t);
    const { client, syncs } = await ann(t, first.url);
    await client.join("den");
    await client.chat("one");
    await first.app.close();
    await startServer(t, {}, { port: first.port });
    await until(() => assert.equal(syncs.length, 3));
    assert.deepEqual(
      syncs.slice(1).map(({ room, status }) => [room, status]),
      [
        ["lobby", "gap"],
        ["den", "gap"],
      ],
    );
    assert.equal(client.since.lobby, syncs[1]?.offset);
    assert.equal((await client.chat("two", "den")).offsets.den, client.since.den);
  });

  test("after `bye` enters the rooms of the handshake only", async (t) => {
    const { url } = await startServer(t);
    const { client, messages } = await ann(t, url);
    await client.join("den");
    const disconnected = next(client.socket, "disconnect");
    await client.bye();
    await disconnected;
    client.socket.connect();
    await until(() => assert.equal(messages.filter(({ type }) => type === "connected").length, 2));
    assert.deepEqual(messages.findLast(({ type }) => type === "connected")?.rooms, ["lobby"]);
  });

  test("continues from the cursors of an earlier client", async (t) => {
    const { url } = await startServer(t);
    const first = await ann(t, url);
    await first.client.chat("one");
    const since = JSON.parse(JSON.stringify(first.client.since));
    await first.client.chat("two");
    const { syncs, said } = record(t, io(url, { ...hasty, auth: { room: "lobby" } }), { since });
    await until(() => assert.deepEqual([syncs[0]?.status, syncs[0]?.missed], ["complete", 1]));
    assert.deepEqual(said(), ["<= two"]);
  });

  test("asks the socket's own auth function each time", async (t) => {
    const { port } = await startServer(t);
    const { link, url } = await openLink(t, port);
    let asked = 0;
    const auth = async (give: (fields: object) => void) => give({ userId: `ann${++asked}`, room: "lobby" });
    const { client, syncs, messages } = record(t, io(url, { ...hasty, auth }));
    await until(() => assert.equal(syncs.length, 1));
    await client.join("den");
    link.cut();
    await until(() => assert.equal(syncs.length, 3));
    const users = messages.filter(({ type }) => type === "connected").map(({ userId }) => userId);
    assert.deepEqual(users, ["ann1", "ann2"]);
  });

  test("works for a namespace of a connection that was open before", async (t) => {
    const { port, url: direct } = await startServer(t);
    const { link, url } = await openLink(t, port);
    const root = io(url, { ...hasty, forceNew: false, query: { userId: "ann", room: "lobby" } });
    t.after(() => root.disconnect());
    await next(root, "connect");
    const { client, said } = record(t, root.io.socket("/chat"));
    await until(() => assert.deepEqual(Object.keys(client.since), ["lobby"]));
    const bob = await enter(t, `${direct}/chat`, "bob", "lobby");
    link.cut();
    await bob.hears("disconnected!");
    await bob.ask("chat", "missed");
    await until(() => assert.deepEqual(said(), ["<= missed"]));
  });

  for (const { version, connect } of generations.filter(({ version }) => /^[34]/.test(version)))
    test(`works with socket.io-client ${version}`, async (t) => {
      const { port } = await startServer(t);
      const { link, url } = await openLink(t, port);
      const socket = connect(url, { ...hasty, auth: { userId: "ann", room: "lobby" } }) as never;
      const { client, syncs, said } = record(t, socket);
      await until(() => assert.equal(syncs.length, 1));
      await client.join("den");
      link.cut();
      await client.chat("hi", "den");
      await until(() => assert.equal(syncs.length, 3));
      assert.deepEqual(said(), ["<= hi"]);
    });
});

describe("a message whose ack was lost", () => {
  test("is sent again with its id, and said exactly once", async (t) => {
    const { port, url: direct } = await startServer(t);
    const { link, url } = await openLink(t, port);
    const { client, said } = await ann(t, url);
    const bob = await enter(t, direct, "bob", "lobby");
    link.stall();
    const [chat, publish] = [client.chat("once"), client.publish("lobby", { x: 1 })];
    await until(() => assert.equal(bob.messages.filter(({ type }) => type === "publish").length, 1));
    link.cut();
    link.calm();
    for (const receipt of [await chat, await publish]) {
      assert.equal(receipt.duplicate, true);
      assert.ok(receipt.offsets.lobby);
    }
    await client.chat("last");
    await bob.hears("<= last");
    assert.deepEqual(
      bob.texts.filter((text) => text.startsWith("<= once")),
      ["<= once"],
    );
    assert.deepEqual(said(), ["<= once", "<= last"]);
  });

  test("is sent in order with those that follow while the client is offline", async (t) => {
    const { port, url: direct } = await startServer(t);
    const { link, url } = await openLink(t, port);
    const { client } = await ann(t, url);
    const bob = await enter(t, direct, "bob", "lobby");
    const disconnected = next(client.socket, "disconnect");
    const requests = [client.chat("1")];
    link.cut();
    requests.push(client.chat("2"));
    await disconnected;
    requests.push(client.chat("3"));
    await Promise.all(requests);
    await bob.hears("<= 3");
    assert.deepEqual(
      bob.messages.filter(({ type }) => type === "chat").map(({ text }) => text),
      ["<= 1", "<= 2", "<= 3"],
    );
  });

  test("fails instead if the server cannot recognize it, or need not send it again", async (t) => {
    const { port } = await startServer(t);
    const { link, url } = await openLink(t, port);
    const { client, syncs } = record(t, io(url, { ...hasty, auth: { room: "lobby" } }));
    await until(() => assert.equal(syncs.length, 1));
    link.stall();
    const requests = [
      client.chat("the next connection is another user"),
      client.publish("lobby", 1, { transient: true }),
      client.join("den"),
    ];
    const failures = Promise.all(requests.map(failure));
    await until(() => assert.equal(client.socket.connected, true));
    link.cut();
    link.calm();
    for (const { code } of await failures) assert.equal(code, "disconnected");
  });

  test("is sent again when the server answers `timeout` or `unavailable`", async (t) => {
    const keys: string[] = [];
    const url = await scripted(t, (socket) => {
      socket.on("chat", (_text, { id }, ack) => {
        const code = ["timeout", "unavailable"][keys.length];
        keys.push(id);
        ack(code ? { error: { code, message: "Try again." } } : { id: "m", rooms: [], offsets: {} });
      });
    });
    const { client } = record(t, io(url, hasty));
    assert.equal((await client.chat("hi")).id, "m");
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys).size, 1);
  });
});

/** Starts a Socket.IO server that answers as a script says. */
async function scripted(t: TestContext, script: (socket: ServerSocket) => void): Promise<string> {
  const http = createServer();
  const server = new Server(http);
  server.on("connection", (socket) => {
    script(socket);
    socket.emit("res", { type: "connected", userId: "ann", rooms: [] });
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

describe("tokens", () => {
  test("are renewed when the server reports that they have expired", async (t) => {
    const { url } = await startServer(t, { authSecret, authGraceMs: 60_000 });
    let asked = 0;
    const { client, syncs } = record(t, io(url, { ...hasty, auth: { room: ["lobby", "den"] } }), {
      token: () => token(asked++ === 0 ? { exp: now() + 1 } : { rooms: ["lobby"] }),
    });
    await until(() => assert.equal(syncs.length, 2));
    await until(() => assert.deepEqual(Object.keys(client.since), ["lobby"]));
    assert.equal(asked, 2);
    assert.equal((await failure(client.join("den"))).code, "forbidden");
  });

  test("are asked for again when a handshake is refused because they have expired", async (t) => {
    const { url } = await startServer(t, { authSecret });
    let asked = 0;
    const { client, messages } = record(t, io(url, hasty), {
      token: () => token(asked++ === 0 ? { exp: now() - 60 } : {}),
    });
    const [refusal] = await next(client.socket, "connect_error");
    assert.equal(refusal.data.code, "token_expired");
    await until(() => assert.equal(messages[0]?.userId, "ann"));
    assert.equal(asked, 2);
  });

  test("that arrive after the connection was replaced are not used", async (t) => {
    const { port } = await startServer(t, { authSecret });
    const { link, url } = await openLink(t, port);
    const tokens = [new Deferred<string>(), new Deferred<string>()];
    let asked = 0;
    const { client, messages } = record(t, io(url, hasty), {
      token: () => (tokens[asked++] as Deferred<string>).promise,
    });
    await until(() => assert.equal(asked, 1));
    link.cut();
    await until(() => assert.equal(asked, 2));
    tokens[0]?.resolve(await token({ sub: "first" }));
    tokens[1]?.resolve(await token({ sub: "second" }));
    await until(() => assert.equal(messages[0]?.userId, "second"));
    assert.equal(await client.notice("hi"), "have hi");
  });

  test("that cannot be had are reported as `connect_error`, and asked for again", async (t) => {
    const { url } = await startServer(t, { authSecret, handshakeTimeoutMs: 300 });
    let asked = 0;
    const { client, messages } = record(t, io(url, hasty), {
      token: async () => {
        if (asked++ === 0) throw new Error("no token today");
        return token();
      },
    });
    const [error] = await next(client.socket, "connect_error");
    assert.equal(error.message, "no token today");
    await until(() => assert.equal(messages[0]?.userId, "ann"));
  });
});

describe("without the helper", () => {
  const old = generations.filter(({ version }) => /^[12]/.test(version));
  for (const { version, connect } of old)
    for (const namespace of ["/", "/chat"])
      test(`socket.io-client ${version} recovers by its query, on ${namespace}`, async (t) => {
        const { port, url: direct } = await startServer(t);
        const { link, url } = await openLink(t, port);
        const since: Record<string, string> = {};
        const query = () => ({ userId: "ann", room: "lobby", since: JSON.stringify(since) });
        const options = { query: query(), forceNew: true, reconnectionDelay: 50 };
        // biome-ignore lint/suspicious/noExplicitAny: these clients have no types
        const socket = connect(url + namespace, options) as any;
        t.after(() => socket.disconnect());
        const [texts, verdicts]: string[][] = [[], []];
        socket.on("res", (message: Message) => {
          if (message.offset) since[message.room as string] = message.offset;
          if (message.type === "chat") texts?.push(message.text);
        });
        socket.on("sync", ({ room, offset, status }: Sync) => {
          since[room] = offset;
          verdicts?.push(status);
        });
        socket.io.on("reconnect_attempt", () => {
          socket.io.opts.query = query();
          // Since 1.7, a namespace other than `/` has a query of its own.
          if (socket.query) socket.query = new URLSearchParams(query()).toString();
        });
        await until(() => assert.deepEqual(verdicts, ["new"]));
        const bob = await enter(t, direct + namespace, "bob", "lobby");
        await bob.ask("chat", "one");
        await until(() => assert.deepEqual(texts, ["<= one"]));
        link.cut();
        await bob.hears("disconnected!");
        await bob.ask("chat", "two");
        await until(() => assert.deepEqual(verdicts, ["new", "complete"]));
        assert.deepEqual(texts, ["<= one", "<= two"]);
      });
});
