import { setTimeout as sleep } from "node:timers/promises";
import { textFrame } from "../support/frames.ts";
import { type BenchClient, connectMany } from "./client.ts";
import { cluster, startCluster } from "./cluster.ts";
import {
  busyRoom,
  disconnect,
  type Figures,
  flood,
  gather,
  latency,
  manyRooms,
  prefixed,
  settled,
  settleMs,
  throughput,
} from "./load.ts";
import { type MeasuredServer, startServer } from "./measured-server.ts";
import { reconnectStorm } from "./storm.ts";

/** A flood of the busy room; then the same members with one message at a time. */
async function rooms(server: MeasuredServer): Promise<Figures> {
  const members = await gather(server, busyRoom);
  const busy = throughput(await flood(server, members, busyRoom, 2_500));
  const quiet = await latency(members, members[0] as BenchClient, 60);
  disconnect(members);
  return { ...prefixed("busy room", busy), ...prefixed("quiet room", quiet) };
}

/** A flood of the many rooms. */
async function many(server: MeasuredServer): Promise<Figures> {
  const members = await gather(server, manyRooms);
  const figures = throughput(await flood(server, members, manyRooms, 2_500));
  disconnect(members);
  return prefixed("many rooms", figures);
}

const largeChat = textFrame(`42["chat","${"x".repeat(8_000)}"]`);

/**
 * 1,000 members of one room that receive 50 messages per second: first while all of them read, then after 50
 * of them stopped reading one after the other while messages of 8 kB were sent. By then some of the 50 are
 * backed up, and a server that disconnects slow consumers has disconnected others.
 */
async function stalledMembers(server: MeasuredServer): Promise<Figures> {
  const members = await gather(server, busyRoom);
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
  disconnect(members);
  const [before = Number.NaN, during = Number.NaN] = [none["p99 latency"], some["p99 latency"]];
  return {
    "stalled members: p99 latency, none stalled": before,
    "stalled members: p99 latency, 50 stalled": during,
    "stalled members: p99 latency, 50 stalled / none": during / before,
    "stalled members: resident memory": rssBytes,
  };
}

/** Opens 2,000 connections, fifty at a time. */
async function connect(server: MeasuredServer): Promise<Figures> {
  const warm = await connectMany(
    server.ports,
    Array.from({ length: 2_000 }, () => ""),
  );
  disconnect(warm);
  await sleep(settleMs);
  const { cpuMs } = await server.usage();
  const clients = await connectMany(
    server.ports,
    Array.from({ length: 2_000 }, () => ""),
  );
  const used = await server.usage();
  disconnect(clients);
  return { "connect: CPU per connect": (used.cpuMs - cpuMs) / 2_000 };
}

/** Opens this many connections, which do nothing and join no room. */
async function idle(server: MeasuredServer, connections: number): Promise<Figures> {
  disconnect(
    await connectMany(
      server.ports,
      Array.from({ length: 2_000 }, () => ""),
    ),
  );
  await sleep(settleMs);
  const { heapBytes, rssBytes } = await server.usage();
  const clients = await connectMany(
    server.ports,
    Array.from({ length: connections }, () => ""),
  );
  await sleep(settleMs);
  const used = await server.usage();
  disconnect(clients);
  return {
    "idle: memory per connection": (used.heapBytes - heapBytes) / connections,
    "idle: resident per connection": (used.rssBytes - rssBytes) / connections,
  };
}

export interface Workload {
  /** The servers that it measures. */
  servers: string[];
  start: typeof startServer;
  run(server: MeasuredServer, connections: number): Promise<Figures>;
}

const single = (run: Workload["run"], servers = ["roomcast", "stock", "ws"]): Workload => ({
  servers,
  start: startServer,
  run,
});

/** Every workload by name; `idle` opens as many connections as the limit on open files allows. */
export const workloads: Record<string, Workload> = {
  rooms: single(rooms),
  many: single(many),
  stalled: single(stalledMembers),
  connect: single(connect),
  idle: single(idle),
  // The raw server keeps no log.
  storm: single(reconnectStorm, ["roomcast", "stock"]),
  cluster: {
    servers: ["roomcast", "redis-adapter", "sharded-adapter", "streams-adapter"],
    start: startCluster,
    run: cluster,
  },
};
