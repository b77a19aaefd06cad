import { setTimeout as sleep } from "node:timers/promises";
import { textFrame } from "../support/frames.ts";
import { type BenchClient, connectMany } from "./client.ts";
import { reconnectStorm } from "./storm.ts";

/** The resources that a server has used since it started. */
export interface Usage {
  cpuMs: number;
  heapBytes: number;
  rssBytes: number;
}

export interface Measured {
  port: number;
  usage(): Promise<Usage>;
}

/** A figure's name and its value in one run. */
export type Figures = Record<string, number>;

const chat = textFrame('427["chat","hello, is anybody there?"]');
const settleMs = 300;

/** Waits until no more events arrive. */
async function settled(clients: BenchClient[]): Promise<void> {
  const count = () => clients.reduce((sum, { events }) => sum + events, 0);
  for (let before = -1; before !== count(); ) {
    before = count();
    await sleep(settleMs);
  }
}

/** Each sender keeps `inFlight` messages unacked for `ms` milliseconds; the members count the deliveries. */
async function flood(
  server: Measured,
  members: BenchClient[],
  senders: BenchClient[],
  ms: number,
): Promise<Figures> {
  const inFlight = 8;
  let going = true;
  for (const sender of senders) {
    sender.onAck = () => going && sender.socket.write(chat);
    for (let n = 0; n < inFlight; n++) sender.socket.write(chat);
  }
  await sleep(settleMs);
  const count = () => members.reduce((sum, { events }) => sum + events, 0);
  const [before, start, { cpuMs }] = [count(), performance.now(), await server.usage()];
  await sleep(ms);
  const [after, end, used] = [count(), performance.now(), await server.usage()];
  going = false;
  await settled(members);
  const deliveries = after - before;
  return {
    "deliveries per second of server CPU": (deliveries / (used.cpuMs - cpuMs)) * 1_000,
    "deliveries per second": (deliveries / (end - start)) * 1_000,
  };
}

/** Sends one message at a time and measures how long it takes to reach each member. */
async function latency(
  members: BenchClient[],
  sender: BenchClient,
  messages: number,
  everyMs = 50,
): Promise<Figures> {
  const waits: number[] = [];
  let sent = 0;
  for (const member of members) member.onEvent = () => waits.push(performance.now() - sent);
  for (let n = 0; n < messages; n++) {
    sent = performance.now();
    sender.socket.write(chat);
    await sleep(everyMs);
  }
  for (const member of members) member.onEvent = undefined;
  waits.sort((a, b) => a - b);
  const at = (share: number) => waits[Math.floor(waits.length * share)] ?? Number.NaN;
  return { "p50 latency": at(0.5), "p99 latency": at(0.99) };
}

const end = (clients: BenchClient[]) => {
  for (const client of clients) client.drop();
};

/** 1,000 members of one room, 4 of them sending; then the same members with one message at a time. */
async function busyRoom(server: Measured): Promise<Figures> {
  const members = await connectMany(
    server.port,
    Array.from({ length: 1_000 }, (_, n) => `room=lobby&userId=u${n}`),
  );
  await settled(members);
  const busy = await flood(server, members, members.slice(0, 4), 2_500);
  for (const member of members) member.onAck = undefined;
  const quiet = await latency(members, members[0] as BenchClient, 60);
  end(members);
  return { ...prefixed("busy room", busy), ...prefixed("quiet room", quiet) };
}

const largeChat = textFrame(`42["chat","${"x".repeat(8_000)}"]`);

/**
 * 1,000 members of one room that receive 50 messages per second: first while all of them read, then after 50
 * of them stopped reading one after the other while messages of 8 kB were sent. By then some of the 50 are
 * backed up, and a server that disconnects slow consumers has disconnected others.
 */
async function stalledMembers(server: Measured): Promise<Figures> {
  const queries = Array.from({ length: 1_000 }, (_, n) => `room=lobby&userId=u${n}`);
  const members = await connectMany(server.port, queries);
  await settled(members);
  const readers = members.slice(50);
  const sender = readers[0] as BenchClient;
  await latency(readers, sender, 50, 20);
  const none = await latency(readers, sender, 250, 20);
  for (const member of members.slice(0, 50)) {
    member.pause();
    for (let n = 0; n < 16; n++) sender.socket.write(largeChat);
    await sleep(50);
  }
  await settled(readers);
  const some = await latency(readers, sender, 250, 20);
  const { rssBytes } = await server.usage();
  end(members);
  const [before = Number.NaN, during = Number.NaN] = [none["p99 latency"], some["p99 latency"]];
  return {
    "stalled members: p99 latency, none stalled": before,
    "stalled members: p99 latency, 50 stalled": during,
    "stalled members: p99 latency, 50 stalled / none": during / before,
    "stalled members: resident memory": rssBytes,
  };
}

/** 100 rooms of 10 members, one of them sending in each room. */
async function manyRooms(server: Measured): Promise<Figures> {
  const queries = Array.from({ length: 1_000 }, (_, n) => `room=r${n % 100}&userId=u${n}`);
  const members = await connectMany(server.port, queries);
  await settled(members);
  const figures = await flood(server, members, members.slice(0, 100), 2_500);
  end(members);
  return prefixed("many rooms", figures);
}

/** Opens 2,000 connections, fifty at a time. */
async function connect(server: Measured): Promise<Figures> {
  const warm = await connectMany(
    server.port,
    Array.from({ length: 2_000 }, () => ""),
  );
  end(warm);
  await sleep(settleMs);
  const { cpuMs } = await server.usage();
  const clients = await connectMany(
    server.port,
    Array.from({ length: 2_000 }, () => ""),
  );
  const used = await server.usage();
  end(clients);
  return { "connect: CPU per connect": (used.cpuMs - cpuMs) / 2_000 };
}

/** Opens this many connections, which do nothing and join no room. */
async function idle(server: Measured, connections: number): Promise<Figures> {
  end(
    await connectMany(
      server.port,
      Array.from({ length: 2_000 }, () => ""),
    ),
  );
  await sleep(settleMs);
  const { heapBytes, rssBytes } = await server.usage();
  const clients = await connectMany(
    server.port,
    Array.from({ length: connections }, () => ""),
  );
  await sleep(settleMs);
  const used = await server.usage();
  end(clients);
  return {
    "idle: memory per connection": (used.heapBytes - heapBytes) / connections,
    "idle: resident per connection": (used.rssBytes - rssBytes) / connections,
  };
}

const prefixed = (prefix: string, figures: Figures): Figures =>
  Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}: ${name}`, value]));

/** Every workload by name; `idle` opens as many connections as the limit on open files allows. */
export const workloads: Record<string, (server: Measured, connections: number) => Promise<Figures>> = {
  rooms: busyRoom,
  many: manyRooms,
  stalled: stalledMembers,
  connect,
  idle,
  storm: reconnectStorm,
};
