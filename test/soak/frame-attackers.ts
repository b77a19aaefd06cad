import { setTimeout as sleep } from "node:timers/promises";
import type { NamespaceName } from "../../src/protocol.ts";
import { within } from "../support/deferred.ts";
import { fragments, frame, opcodes } from "../support/frames.ts";
import { enginePath, exchange } from "../support/http.ts";
import type { Random } from "../support/random.ts";
import type { WebSocketClient } from "../support/websocket-client.ts";
import { goAway, repeated } from "./attackers.ts";
import { RawClient } from "./clients.ts";
import type { Behavior, Scenario, SocketClient } from "./scenario.ts";
import { settings } from "./server-process.ts";

/*
 * Attackers that send WebSocket frames or packets that are expensive to receive.
 */

const namespaces: NamespaceName[] = ["/", "/chat"];

/** Runs an attack by a client in no room; how its connection ends is not known in advance. */
async function attack(
  scenario: Scenario,
  userId: string,
  random: Random,
  act: (client: SocketClient) => Promise<unknown>,
): Promise<void> {
  const client = await scenario.socketClient(random.pick(namespaces), userId, []);
  client.isTimed = false;
  await act(client).finally(() => goAway(client));
}

/** Sends the block repeatedly until this many bytes were sent or the connection has ended. */
async function sendRepeatedly({ engine }: SocketClient, block: Buffer, mostBytes: number): Promise<void> {
  for (let sent = 0; sent < mostBytes && !engine.socket.destroyed; sent += block.length) {
    await Promise.race([engine.write(block), sleep(2_000)]);
  }
}

// Fragments

/** Sends messages in fragments: a valid one, and then more fragments than any client would. */
export const fragmenter: Behavior = (scenario, userId, random) =>
  attack(scenario, userId, random, async (client) => {
    await within("the ack of a fragmented event", sendFragmented(client, "notice"));
    await random.pick(floodsOfFragments)(client);
  });

function sendFragmented(client: SocketClient, event: string): Promise<unknown> {
  const prefix = client.namespace === "/" ? "" : `${client.namespace},`;
  return client.send(event, (id) => {
    const data = Buffer.from(`42${prefix}${id}${JSON.stringify([event, "in three parts"])}`);
    const [first, ...rest] = fragments(opcodes.text, data, 5, 20) as [Buffer, ...Buffer[]];
    void client.engine.write(Buffer.concat([first, frame(opcodes.ping, "?"), ...rest]));
  });
}

const opening = frame(opcodes.text, '42["notice","', { fin: false });
const fragment = frame(opcodes.continuation, "x", { fin: false });
const ping = frame(opcodes.ping, "x".repeat(125));

const floodsOfFragments: ((client: SocketClient) => Promise<unknown>)[] = [
  // A large message in chunks of one byte.
  async ({ engine }) => {
    await engine.write(frame(opcodes.text, "x", { length: 150_000n }));
    for (let n = 0; n < 3_000 && !engine.socket.destroyed; n++) {
      await engine.write(Buffer.from("x"));
      await new Promise(setImmediate);
    }
    await holdBack(engine);
  },
  // Thousands of fragments at once.
  async (client) => {
    await client.engine.write(opening);
    await sendRepeatedly(client, repeated(fragment, 64_000), 1_000_000);
  },
  // Each fragment in a different read buffer.
  async (client) => {
    await client.engine.write(opening);
    await sendRepeatedly(client, Buffer.concat([fragment, repeated(ping, 64_000)]), 10_000_000);
  },
  // A message that is never finished.
  async ({ engine }) => {
    await engine.write(Buffer.concat([opening, repeated(fragment, 2_000)]));
    await holdBack(engine);
  },
];

const holdBack = ({ closed }: WebSocketClient) => Promise.race([closed, sleep(5_000)]);

// Control frames

const controlFrames = [
  frame(opcodes.pong),
  frame(opcodes.ping),
  frame(opcodes.pong, "x".repeat(125)),
  Buffer.concat(fragments(opcodes.text, Buffer.alloc(0), 0, 0)),
];

/**
 * Sends frames other than messages as fast as the kernel accepts them, until the server ends the connection.
 */
export const ponger: Behavior = (scenario, userId, random) =>
  attack(scenario, userId, random, async (client) => {
    await sendRepeatedly(client, repeated(random.pick(controlFrames), 64_000), 20_000_000);
    if (!client.engine.socket.destroyed) throw new Error("20 MB of control frames were accepted");
  });

// Expensive JSON

const mostBytes = settings["max-payload"] - 1_000;
const deep = "[".repeat(mostBytes / 2) + "]".repeat(mostBytes / 2);
const wide = `{${Array.from({ length: 12_000 }, (_, n) => `"key${n}":${n}`).join()}}`;
const placeholders = Array.from({ length: 8 }, (_, num) =>
  JSON.stringify({ _placeholder: true, num }),
).join();

/** Sends events that are expensive to parse, one after the other. */
export const deepJson: Behavior = (scenario, userId, random) =>
  attack(scenario, userId, random, async (client) => {
    for (let n = random.between(2, 12); n > 0 && !client.isLost; n--) {
      const [marker, argument, attachments] = random.pick([
        ["42", deep, 0],
        ["42", wide, 0],
        ["458-", `${wide},${placeholders}`, 8],
      ] as const);
      const prefix = client.namespace === "/" ? "" : `${client.namespace},`;
      const ack = client.send("chat", (id) => {
        const frames = [frame(opcodes.text, `${marker}${prefix}${id}["chat",${argument}]`)];
        for (let n = 0; n < attachments; n++) frames.push(frame(opcodes.binary, "attached"));
        void client.engine.write(Buffer.concat(frames));
      });
      await within(
        "the ack of expensive JSON",
        ack.catch(() => {}),
      );
    }
    await postBinary(scenario, userId);
  });

/** Posts thousands of packets in the binary format of Engine.IO 3. */
async function postBinary(scenario: Scenario, userId: string): Promise<void> {
  const engine = scenario.openPolling({ version: 3, query: [`userId=${userId}`] });
  const client = new RawClient(engine, scenario.counts, "/", userId);
  await engine.opened;
  await client.connect([]);
  const body = repeated(Buffer.from([0, 1, 255, 0x32]), mostBytes);
  scenario.counts.wrote(body.length, body.length);
  const headers = { "content-type": "application/octet-stream" };
  const url = scenario.server.url + enginePath(3, "polling", `sid=${engine.sid}`);
  await exchange(url, { method: "POST", body, headers });
  goAway(client);
}
