import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { describe, type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { maxBufferedChunks, maxFragments } from "../src/engineio/incoming.ts";
import { connect, enter } from "./support/client.ts";
import { runCommand } from "./support/command.ts";
import type { EngineOptions } from "./support/engine-client.ts";
import { fragments, frame, opcodes, textFrame } from "./support/frames.ts";
import type { Version } from "./support/http.ts";
import { scrape } from "./support/metrics.ts";
import { connectRaw, openPolling } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { until } from "./support/until.ts";
import { WebSocketClient } from "./support/websocket-client.ts";

const repeated = (bytes: Buffer, count: number) => Buffer.concat(Array.from({ length: count }, () => bytes));
const ping = frame(opcodes.ping);
const pong = frame(opcodes.pong);
const begin = (text: string) => frame(opcodes.text, text, { fin: false });
const more = (text: string) => frame(opcodes.continuation, text, { fin: false });

/** Connects a hand-driven client to `/`. @returns the client and a function that waits for an ack */
async function open(t: TestContext, url: string, options: EngineOptions = {}) {
  const client = new WebSocketClient(url, options);
  t.after(() => client.drop());
  const packets: string[] = [];
  client.onPacket = (packet) => void packets.push(packet);
  await client.opened;
  if (options.version !== 3) client.send("40");
  await until(() => assert.match(packets.join(), /connected!/));
  const answer = async (id: number) => {
    const found = () => packets.find((packet) => packet.startsWith(`43${id}[`));
    await until(() => assert.equal(typeof found(), "string"));
    return found() as string;
  };
  return { client, answer };
}

/** Resolves when at least `count` connections have been ended for this reason. */
const ended = ({ logs }: RunningServer, reason: string, count = 1) =>
  until(() => assert.equal(logs.filter((line) => line.reason === reason).length >= count, true));

const heldBytes = async ({ app }: RunningServer): Promise<number> =>
  Number((await app.roomcast.metrics.metrics()).match(/^roomcast_inbound_bytes (\d+)$/m)?.[1]);

describe("a message in many parts", () => {
  test("is received in 60 fragments, in 1,400-byte segments and, if it is short, byte by byte", async (t) => {
    const { url } = await startServer(t, { maxTextChars: 330_000 });
    const { client, answer } = await open(t, url);
    const text = "x".repeat(320_000);
    const cuts = Array.from({ length: 60 }, (_, n) => (n + 1) * 5_300);
    await client.write(
      Buffer.concat(fragments(opcodes.text, Buffer.from(`421["notice","${text}"]`), ...cuts)),
    );
    assert.equal((await answer(1)).length, text.length + 12);
    const message = textFrame(`422["notice","${text}"]`);
    for (let at = 0; at < message.length; at += 1_400) {
      await client.write(message.subarray(at, at + 1_400));
      await turn();
    }
    await answer(2);
    for (const byte of textFrame(`423["notice","${"y".repeat(500)}"]`)) {
      await client.write(Buffer.from([byte]));
      await turn();
    }
    await answer(3);
  });

  const parts: Record<string, (client: WebSocketClient) => Promise<unknown>> = {
    "in more fragments than the packet rate allows": (client) =>
      client.write(Buffer.concat([begin("42"), repeated(more("x"), 16_384)])),
    "in one fragment more than the limit": (client) =>
      client.write(Buffer.concat([begin("42"), repeated(more("x"), maxFragments(1_000_000))])),
    "in one-byte chunks": async (client) => {
      await client.write(frame(opcodes.text, "42", { length: 900_000n }));
      for (let n = 0; n < 3 * maxBufferedChunks(1_000_000) && !client.socket.destroyed; n++) {
        await client.write(Buffer.from("x"));
        await turn();
      }
    },
  };
  for (const [title, send] of Object.entries(parts)) {
    test(`ends the connection if sent ${title}`, async (t) => {
      const server = await startServer(t);
      const { client } = await open(t, server.url);
      await send(client);
      await client.closed;
      await ended(server, title.includes("packet rate") ? "rate limited" : "unfinished packet");
      await until(async () => assert.equal(await heldBytes(server), 0));
      await connect(t, server.url);
    });
  }
});

describe("memory for partly received data is bounded across all connections:", () => {
  const bound = 2_000_000;
  const post = (url: string, length: number, type = "text/plain") => {
    const asked = request(url, { method: "POST", headers: { "content-type": type } }).on("error", () => {});
    asked.write("x".repeat(length));
    return asked;
  };
  const ways: Record<string, (t: TestContext, server: RunningServer) => Promise<unknown>> = {
    "half a frame": async (t, { url }) => {
      const { client } = await open(t, url);
      await client.write(frame(opcodes.text, "x".repeat(600_000), { length: 900_000n }));
    },
    "fragments without a final one": async (t, { url }) => {
      const { client } = await open(t, url);
      await client.write(Buffer.concat([begin("42"), repeated(more("x".repeat(30_000)), 20)]));
    },
    "half a frame on a WebSocket that is probed for an upgrade": async (t, { url }) => {
      const session = await openPolling(url);
      await fetch(session, { method: "POST", body: "40" });
      const client = new WebSocketClient(url, { sid: new URL(session).searchParams.get("sid") as string });
      t.after(() => client.drop());
      await once(client.socket, "data");
      await client.write(frame(opcodes.text, "x".repeat(600_000), { length: 900_000n }));
    },
    "half a POST": async (t, { url }) => {
      const asked = post(await openPolling(url), 600_000);
      t.after(() => asked.destroy());
    },
    "half a binary POST of Engine.IO 3": async (t, { url }) => {
      const asked = post(await openPolling(url, "", 3), 600_000, "application/octet-stream");
      t.after(() => asked.destroy());
    },
    "packets without their last attachment": async (t, { url }) => {
      const { client } = await open(t, url);
      client.send("40/own,");
      const head = '452-/own,["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]';
      await client.write(Buffer.concat([textFrame(head), frame(opcodes.binary, Buffer.alloc(600_000))]));
    },
  };
  for (const [title, hold] of Object.entries(ways)) {
    test(title, async (t) => {
      const prepare = ({ roomcast }: RunningServer["app"]) => void roomcast.io.of("/own");
      const server = await startServer(t, { inboundMemoryMaxBytes: bound }, { prepare });
      const ann = await enter(t, server.url, "ann", "lobby");
      for (let n = 0; n < 6; n++) {
        await hold(t, server);
        if (n === 1) await until(async () => assert.equal((await heldBytes(server)) > 1_000_000, true));
        assert.ok((await heldBytes(server)) <= bound);
      }
      const isProbe = title.includes("probed");
      const clients = () => server.app.roomcast.io.engine.clientsCount;
      if (isProbe) await until(async () => assert.equal((await heldBytes(server)) <= bound, true));
      else await until(() => assert.equal(clients() < 7, true));
      const counted = /roomcast_endings_total\{reason="unfinished packet"\} ([1-9])/;
      if (!isProbe) assert.match(await server.app.roomcast.metrics.metrics(), counted);
      assert.equal(await ann.ask("notice", "meanwhile"), "have meanwhile");
    });
  }

  test("counts a complete POST until its packets are handled", async (t) => {
    const server = await startServer(t, { sendQueueMaxBytes: 200_000 });
    const session = await openPolling(server.url, "room=lobby");
    await fetch(session, { method: "POST", body: "40" });
    const packets = Array.from({ length: 50 }, () => `42["chat","${"x".repeat(16_000)}"]`);
    const answered = fetch(session, { method: "POST", body: packets.join("\x1e") });
    // The server handles the packets only as fast as the client reads the messages that it sends to itself.
    await until(async () => {
      const values = await scrape(server.url);
      assert.equal(Number(values.get("roomcast_send_queue_bytes")) > 90_000, true);
      assert.equal(Number(values.get("roomcast_inbound_bytes")) > 790_000, true);
    });
    let received = "";
    while (received.split('["res"').length <= 52) received += await (await fetch(session)).text();
    assert.equal((await answered).status, 200);
    assert.equal(await heldBytes(server), 0);
  });

  test("process memory stays small when each fragment arrives in a separate chunk", async (t) => {
    const command = runCommand(t, ["--port", "0", "--log-level", "info"]);
    const url = await command.ready();
    const before = (await scrape(url)).get("process_resident_memory_bytes") ?? 0;
    const flood = Buffer.concat([more("x"), repeated(frame(opcodes.pong, "x".repeat(125)), 500)]);
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const { client } = await open(t, url);
        await client.write(begin("42"));
        for (let n = 0; n < 2_000 && !client.socket.destroyed; n++) await client.write(flood);
        await client.closed;
      }),
    );
    const after = (await scrape(url)).get("process_resident_memory_bytes") ?? 0;
    assert.ok(after - before < 120e6, `grew by ${after - before}`);
  });
});

describe("frames and packets other than events count towards the packet rate:", () => {
  const emptyFragments = Buffer.concat(fragments(opcodes.text, Buffer.from("6"), ...Array(40).fill(1)));
  const floods: Record<string, Buffer> = {
    pings: ping,
    pongs: pong,
    "pongs of 125 bytes": frame(opcodes.pong, "x".repeat(125)),
    "empty fragments": emptyFragments,
    noops: textFrame("6"),
    heartbeats: textFrame("3"),
  };
  for (const version of [3, 4] as const) {
    for (const [title, bytes] of Object.entries(floods)) {
      test(`${title}, Engine.IO ${version}`, async (t) => {
        const server = await startServer(t);
        const { client } = await open(t, server.url, { version });
        const count = title === "empty fragments" ? 500 : 10_000;
        await client.write(
          repeated(title.includes("heartbeats") && version === 3 ? textFrame("2") : bytes, count),
        );
        await client.closed;
        await ended(server, "rate limited");
        await connect(t, server.url);
      });
    }

    test(`pongs on a WebSocket that requests an upgrade, Engine.IO ${version}`, async (t) => {
      const server = await startServer(t);
      const session = await openPolling(server.url, "", version);
      if (version === 4) await fetch(session, { method: "POST", body: "40" });
      const sid = new URL(session).searchParams.get("sid") as string;
      const client = new WebSocketClient(server.url, { sid, version });
      t.after(() => client.drop());
      await once(client.socket, "data");
      await client.write(repeated(pong, 10_000));
      await client.closed;
      await ended(server, "rate limited");
    });
  }

  const payloads: [title: string, version: Version, body: Buffer<ArrayBuffer>, type?: string][] = [
    ["noops", 4, repeated(Buffer.from("6\x1e"), 5_000)],
    ["noops", 3, repeated(Buffer.from("1:6"), 5_000)],
    ["empty packets", 3, repeated(Buffer.from("0:"), 5_000)],
    ["binary noops", 3, repeated(Buffer.from([0, 1, 255, 54]), 5_000), "application/octet-stream"],
    ["binary empty packets", 3, repeated(Buffer.from([0, 0, 255]), 300_000), "application/octet-stream"],
  ];
  for (const [title, version, body, type = "text/plain"] of payloads) {
    test(`${title} in a polling payload, Engine.IO ${version}`, async (t) => {
      const server = await startServer(t);
      const session = await openPolling(server.url, "", version);
      if (version === 4) await fetch(session, { method: "POST", body: "40" });
      await fetch(session, { method: "POST", body, headers: { "content-type": type } }).catch(() => {});
      await ended(server, "rate limited");
      assert.equal((await fetch(session)).status, 400);
    });
  }
});

describe("the server does not parse large arguments that the namespace cannot accept:", () => {
  const refusals: [title: string, packet: string, answer: RegExp][] = [
    [
      "an overlong text",
      `421["chat","${"x".repeat(300_000)}"]`,
      /too_large.*16,384 characters, got a packet of 300,/,
    ],
    ["deep JSON", `421["join",${"[".repeat(300_000)}`, /bad_payload.*got a packet of 300,010 characters/],
    ["an unknown event", `421["shout"${",0".repeat(200_000)}]`, /unknown_event/],
    ["ignored arguments of bye", `421["bye",{${'"a":{},'.repeat(50_000)}"a":0}]`, /^431\[""\]/],
  ];
  for (const [title, packet, answer] of refusals) {
    test(title, async (t) => {
      const { url } = await startServer(t);
      const raw = await connectRaw(t, url);
      raw.send(packet);
      assert.match(await raw.receives(/^431/), answer);
    });
  }

  test("sends the error event if the client asked for no ack", async (t) => {
    const { url } = await startServer(t);
    const raw = await connectRaw(t, url);
    raw.send(`42["join",${"{},".repeat(100_000)}0]`);
    assert.match(await raw.receives(/^42\["error"/), /"event":"join".*bad_payload/);
  });

  test("accepts large arguments on an application's namespace", async (t) => {
    const { url, app } = await startServer(t);
    const arrived = new Promise<unknown[]>((resolve) => {
      app.roomcast.io.of("/own").on("connection", (socket) => {
        socket.on(
          "list",
          (list, bytes) => bytes && resolve([(list as unknown[]).length, (bytes as Buffer).length]),
        );
      });
    });
    const raw = await connectRaw(t, url);
    raw.send("40/own,");
    await raw.receives(/^40\/own/);
    raw.send(`42/own,["list",[${"0,".repeat(200_000)}0]]`);
    raw.send(`451-/own,["list",[0,0],{"_placeholder":true,"num":0}]`, Buffer.alloc(3));
    assert.deepEqual(await arrived, [2, 3]);
  });

  test("accepts the longest text and the longest room name, however they are escaped", async (t) => {
    const { url } = await startServer(t);
    const room = "👋".repeat(128);
    const raw = await connectRaw(t, url, `room=${encodeURIComponent(room)}`);
    const escaped = (text: string) =>
      text.replace(/[\ud800-\udfff]/g, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
    raw.send(`42123456["chat","${escaped("👋".repeat(16_384))}","${escaped(room)}"]`);
    assert.match(await raw.receives(/^43123456/), /recipients":1/);
  });

  for (const nested of ['{"_placeholder":true,"num":0}', '[{"_placeholder":true,"num":0}]']) {
    test(`refuses binary data sent as ${nested}`, async (t) => {
      const { url } = await startServer(t);
      const raw = await connectRaw(t, url);
      raw.send(`451-7["notice",${nested}]`, Buffer.alloc(900_000));
      assert.match(await raw.receives(/^437/), /bad_payload.*got binary data/);
    });
  }
});

/**
 * The longest CPU time of one event-loop turn until `done` settles, in milliseconds; waiting does not count.
 */
async function longestTurn(done: Promise<unknown>): Promise<number> {
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  let longest = 0;
  for (let before = process.cpuUsage(); !isDone; before = process.cpuUsage()) {
    await turn();
    const { user, system } = process.cpuUsage(before);
    longest = Math.max(longest, (user + system) / 1_000);
  }
  return longest;
}

describe("expensive packets from five connections never block the event loop for long:", () => {
  const keyed = Array.from({ length: 100_000 }, (_, n) => `,{"${n.toString(36)}a":0}`).join("");
  const keys = keyed.replaceAll(",{", ",").replaceAll("}", "");
  const attachment = '{"_placeholder":true,"num":0}';
  const event = (json: string) => [`42["join"${json}]`];
  const costly: Record<string, (string | Buffer)[]> = {
    "deep JSON": event(`,${"[".repeat(98_000)}${"]".repeat(98_000)}`),
    "deep JSON that is too long": event(`,${"[".repeat(980_000)}`),
    "objects with one key each": event(keyed.slice(0, 190_000).replace(/,[^,]*$/, "")),
    "objects with one key each that are too long": event(keyed.slice(0, 980_000)),
    "one object with many keys": event(`,{"x":0${keys.slice(0, 190_000).replace(/,[^,]*$/, "")}}`),
    "truncated JSON": [`42["join"${keyed.slice(0, 190_000)}`],
    "many arguments": event(",0".repeat(95_000)),
    "objects around binary data": [
      `451-["join",${attachment}${keyed.slice(0, 60_000).replace(/,[^,]*$/, "")}]`,
      Buffer.alloc(900_000),
    ],
    "a large handshake": [`40/chat,{"x":[0${keyed.slice(0, 60_000).replace(/,[^,]*$/, "")}]}`, "41/chat,"],
  };
  for (const [title, packets] of Object.entries(costly)) {
    test(title, async (t) => {
      const { url } = await startServer(t, { bytesPerSecond: 100_000_000 });
      const ann = await connect(t, url);
      const raws = await Promise.all(Array.from({ length: 5 }, () => connectRaw(t, url)));
      for (const raw of raws) for (let n = 0; n < 5; n++) raw.send(...packets);
      const answered = Promise.all(raws.map((raw) => raw.receives(/^42\["error"|"bad_payload"|^40\/chat/)));
      const closed = Promise.all(raws.map((raw) => raw.closed()));
      const longest = await longestTurn(Promise.race([answered, closed]));
      assert.equal(await ann.ask("notice", "meanwhile"), "have meanwhile");
      assert.ok(longest < 700, `${longest}`);
    });
  }

  for (const [title, body] of [
    [
      "a 1 MB binary string",
      Buffer.concat([Buffer.from([0, 9, 9, 9, 9, 0, 0, 255]), Buffer.alloc(999_900, "4")]),
    ],
    ["1 MB of digits", Buffer.alloc(999_900, "1")],
  ] as const) {
    test(`${title} in Engine.IO 3 payloads`, async (t) => {
      const { url } = await startServer(t);
      const type = title.includes("binary") ? "application/octet-stream" : "text/plain";
      const sessions = await Promise.all(Array.from({ length: 5 }, () => openPolling(url, "b64=1", 3)));
      const post = (session: string) =>
        fetch(session, { method: "POST", body: new Uint8Array(body), headers: { "content-type": type } });
      const longest = await longestTurn(
        Promise.all(sessions.map((session) => post(session).catch(() => {}))),
      );
      assert.ok(longest < 500, `${longest}`);
    });
  }
});

describe("a connection that exceeds its byte rate is read later and loses nothing:", () => {
  const options = { bytesPerSecond: 100_000, maxTextChars: 10_000, eventsBurst: 20, eventsPerSecond: 10_000 };
  const text = "x".repeat(10_000);

  test("over a WebSocket", async (t) => {
    const { url } = await startServer(t, options);
    const ann = await connect(t, url);
    const start = performance.now();
    const acks = await Promise.all(Array.from({ length: 40 }, () => ann.ask("notice", text)));
    assert.deepEqual(new Set(acks), new Set([`have ${text}`]));
    assert.ok(performance.now() - start > 1_000);
  });

  test("JSON other than text costs more of the rate", async (t) => {
    const { url } = await startServer(t, { ...options, bytesPerSecond: 1_000_000 });
    const raw = await connectRaw(t, url);
    const start = performance.now();
    for (let id = 0; id < 10; id++) raw.send(`42${id}["join",[${"0,".repeat(20_000)}0]]`);
    await raw.receives(/^439\[/);
    assert.ok(performance.now() - start > 1_000);
  });

  test("over polling", async (t) => {
    const { url } = await startServer(t, options);
    const session = await openPolling(url);
    await fetch(session, { method: "POST", body: "40" });
    const start = performance.now();
    const body = Array.from({ length: 35 }, (_, n) => `42${n}["notice","${text}"]`).join("\x1e");
    assert.equal(await (await fetch(session, { method: "POST", body })).text(), "ok");
    assert.ok(performance.now() - start > 1_000);
    assert.equal((await (await fetch(session)).text()).match(/43\d+\[/g)?.length, 35);
  });
});

test("handles the packets of a long payload in order", async (t) => {
  const { url } = await startServer(t);
  for (const version of [3, 4]) {
    const session = await openPolling(url, "b64=1", version);
    if (version === 4) await fetch(session, { method: "POST", body: "40" });
    const packets = Array.from({ length: 30 }, (_, n) => `42${n}["notice","${"é".repeat(5_000)}"]`);
    const body = packets.map((packet) => (version === 3 ? `${packet.length}:${packet}` : packet));
    await fetch(session, { method: "POST", body: body.join(version === 3 ? "" : "\x1e") });
    let answers = "";
    await until(async () => {
      answers += await (await fetch(session)).text();
      assert.equal(answers.match(/43\d+\["have/g)?.length, 30);
    });
    const ids = [...answers.matchAll(/43(\d+)\["have/g)].map(([, id]) => Number(id));
    assert.deepEqual(ids, [...packets.keys()]);
  }
});

test("does not buffer a body that no route accepts", async (t) => {
  const { url } = await startServer(t);
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify("x".repeat(10_000));
  for (const path of ["/", "/elsewhere"]) {
    assert.equal((await fetch(url + path, { method: "POST", body, headers })).status, 413);
  }
});

test("does not compress responses to polls", async (t) => {
  const { url } = await startServer(t);
  const session = await openPolling(url);
  await fetch(session, { method: "POST", body: "40" });
  await fetch(session, { method: "POST", body: `421["notice","${"x".repeat(10_000)}"]` });
  const answer = await fetch(session, { headers: { "accept-encoding": "gzip, deflate" } });
  assert.match(await answer.text(), /xxx/);
  assert.equal(answer.headers.get("content-encoding"), null);
});
