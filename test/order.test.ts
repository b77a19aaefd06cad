import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Server, Socket } from "socket.io";
import { next } from "./support/client.ts";
import { startEngine } from "./support/engines.ts";
import { type AnyClient, generations } from "./support/generations.ts";
import { Random } from "./support/random.ts";

/*
 * Runs the same random interleavings of server actions on the stock engine and on roomcast's. Every client
 * must receive the same packets in the same order.
 */

const rooms = ["a", "b", "c"];
const kinds: { version: string; transports: string[] }[] = [
  { version: "4.8.4", transports: ["websocket"] },
  { version: "4.8.4", transports: ["websocket"] },
  { version: "4.8.4", transports: ["polling"] },
  { version: "4.8.4", transports: ["polling", "websocket"] },
  { version: "2.5.0", transports: ["websocket"] },
  { version: "2.5.0", transports: ["polling", "websocket"] },
];

/** An event, the number of the action that sent it, and its argument. */
type Received = [event: string, n: number | undefined, argument?: string | number | undefined];

type Step = (io: Server, sockets: Socket[]) => void;

/** Picks a random server action; `n` makes its packets distinguishable. */
function step(chance: () => number, n: number): Step {
  const pick = <T>(from: readonly T[]): T => from[Math.floor(chance() * from.length)] as T;
  const who = Math.floor(chance() * kinds.length);
  const [room, other] = [pick(rooms), pick(rooms)];
  const choices: Step[] = [
    (io) => io.to(room).emit("one", n),
    (io) => io.to(room).emit("one", n),
    (io) => io.to([room, other]).emit("two", n),
    (io) => io.to(room).except(other).emit("except", n),
    (io) => io.emit("all", n, "x".repeat(n % 7 === 0 ? 70_000 : 200)),
    (io) => io.to(room).volatile.emit("volatile", n),
    (io) => io.to(room).emit("binary", n, Buffer.from([n & 255, 2, 3])),
    (io) => io.to(room).compress(false).emit("plain", n),
    (_io, sockets) => sockets[who]?.emit("direct", n),
    (_io, sockets) => sockets[who]?.emit("direct binary", n, Buffer.from([n & 255])),
    (_io, sockets) => sockets[who]?.emit("asks", n, () => {}),
    (_io, sockets) => sockets[who]?.broadcast.to(room).emit("others", n),
    (_io, sockets) => void sockets[who]?.join(room),
    (_io, sockets) => void sockets[who]?.leave(room),
    (_io, sockets) => n % 5 === 0 && who > 3 && sockets[who]?.disconnect(),
  ];
  return pick(choices);
}

/** Plays a scenario; returns what each client received, in order. */
async function play(t: TestContext, engine: "fast" | "stock", seed: number): Promise<Received[][]> {
  const { io, url } = await startEngine(t, engine);
  const source = new Random(seed);
  const chance = () => source.next();
  const batches = Array.from({ length: 12 }, (_, batch) =>
    Array.from({ length: 1 + Math.floor(chance() * 25) }, (_, n) => step(chance, batch * 100 + n)),
  );
  const sockets: Socket[] = [];
  const logs: Received[][] = [];
  const clients: AnyClient[] = [];
  for (const [index, { version, transports }] of kinds.entries()) {
    const arrived = next(io, "connection");
    const generation = generations.find((one) => one.version === version);
    const client = generation?.connect(url, { forceNew: true, transports, reconnection: false }) as AnyClient;
    t.after(() => client.disconnect());
    const log: Received[] = [];
    const names = [
      "one",
      "two",
      "except",
      "all",
      "volatile",
      "binary",
      "plain",
      "direct",
      "direct binary",
      "others",
    ];
    for (const name of names) {
      client.on(name, (n: number, extra?: Buffer | string) => {
        log.push([name, n, Buffer.isBuffer(extra) ? extra.toString("hex") : extra?.length]);
      });
    }
    client.on("asks", (n: number, ack: () => void) => {
      log.push(["asks", n]);
      ack();
    });
    client.on("disconnect", (reason: string) => log.push(["disconnect", undefined, reason]));
    const [socket] = await arrived;
    await socket.join(rooms[index % rooms.length] as string);
    socket.on("go", async (batch: number, ack: (n: number) => void) => {
      const steps = batches[batch] ?? [];
      const half = steps.length >> 1;
      for (const one of steps.slice(0, half)) one(io, sockets);
      ack(batch);
      for (const one of steps.slice(half)) one(io, sockets);
    });
    socket.on("settle", (ack: () => void) => ack());
    sockets.push(socket);
    clients.push(client);
    logs.push(log);
  }
  const ask = (index: number, event: string, ...args: unknown[]) =>
    new Promise<void>((resolve) => {
      if (!sockets[index]?.connected) return resolve();
      clients[index]?.once("disconnect", () => resolve());
      clients[index]?.emit(event, ...args, (reply: unknown) => {
        if (event === "go") logs[index]?.push(["ack", undefined, String(reply)]);
        resolve();
      });
    });
  for (const batch of batches.keys()) {
    await ask(batch % 4, "go", batch);
    if (chance() < 0.5) await turn();
    await Promise.all(kinds.map((_, index) => ask(index, "settle")));
  }
  return logs;
}

for (let seed = 1; seed <= 12; seed++) {
  test(`clients receive the same packets in the same order on both engines (seed ${seed})`, async (t) => {
    const [ours, theirs] = [await play(t, "fast", seed), await play(t, "stock", seed)];
    assert.ok(ours.flat().length > 50);
    // The stock engine drops a volatile packet while another is being written, roomcast's only if backed up.
    const lasting = (logs: Received[][]) => logs.map((log) => log.filter(([event]) => event !== "volatile"));
    assert.deepEqual(lasting(ours), lasting(theirs));
    for (const log of ours) {
      const order = log.flatMap(([, n]) => n ?? []);
      assert.deepEqual(
        order,
        order.toSorted((a, b) => a - b),
      );
    }
  });
}
