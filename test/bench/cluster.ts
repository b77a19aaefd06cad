import { setTimeout as sleep } from "node:timers/promises";
import type { BenchClient } from "./client.ts";
import { startCountingProxy } from "./counting-proxy.ts";
import {
  busyRoom,
  type Crowd,
  disconnect,
  type Figures,
  flood,
  gather,
  latency,
  manyRooms,
  prefixed,
  throughput,
} from "./load.ts";
import { type MeasuredServer, startServer, type Usage } from "./measured-server.ts";
import { startRedis } from "./redis-server.ts";

/*
 * Two nodes that share a Redis, with the members of each room and the senders spread evenly over both. The CPU time
 * is that of both nodes and of Redis. Latency is measured from a sender on one node to members on the other.
 *
 * A third node is idle: it has no members, and its CPU time does not count. The bytes that Redis sends to it are
 * counted with and without messages, because nodes also exchange heartbeats.
 *
 * The aims, compared with the best adapter: 10 times the deliveries per second of CPU in a busy room and 3 times in
 * many rooms, no higher p99 latency, and 0 bytes of messages to a node that has no member of the room.
 */

const windowMs = 5_000;

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** Starts a Redis, two nodes, and an idle one. */
export async function startCluster(
  name: string,
  workload: string,
  nodeOptions: string[],
): Promise<MeasuredServer> {
  const redis = await startRedis();
  const proxy = await startCountingProxy(redis.port);
  const start = ({ port }: { port: number }) =>
    startServer(name, workload, nodeOptions, `redis://127.0.0.1:${port}`);
  const [first, second, idle] = await Promise.all([start(redis), start(redis), start(proxy)]);
  return {
    ports: [...first.ports, ...second.ports],
    async usage() {
      const [redisCpuMs, ...nodes] = await Promise.all([redis.cpuMs(), first.usage(), second.usage()]);
      return {
        cpuMs: redisCpuMs + sum(nodes.map(({ cpuMs }) => cpuMs)),
        heapBytes: sum(nodes.map(({ heapBytes }) => heapBytes)),
        rssBytes: sum(nodes.map(({ rssBytes }) => rssBytes)),
        idleNodeBytes: proxy.receivedBytes(),
      };
    },
    async stop() {
      await Promise.all([first, second, idle].map((node) => node.stop()));
      proxy.stop();
      await redis.stop();
    },
  };
}

const idleNodeRate = (before: Usage, after: Usage, seconds: number) =>
  ((after.idleNodeBytes ?? Number.NaN) - (before.idleNodeBytes ?? Number.NaN)) / seconds;

/** The bytes per second that the idle node receives while no messages are sent. */
async function heartbeatRate(server: MeasuredServer): Promise<number> {
  const before = await server.usage();
  await sleep(windowMs);
  return idleNodeRate(before, await server.usage(), windowMs / 1_000);
}

/** A flood, then one message at a time to the members of the first room on the other node. */
async function acrossNodes(server: MeasuredServer, crowd: Crowd): Promise<Figures> {
  const members = await gather(server, crowd);
  const withoutMessages = await heartbeatRate(server);
  const load = await flood(server, members, crowd, windowMs);
  const [sender, ...others] = members.slice(0, crowd.membersPerRoom) as [BenchClient, ...BenchClient[]];
  const remote = others.filter(({ port }) => port !== sender.port);
  const toRemote = await latency(remote, sender, 200, 30);
  disconnect(members);
  return {
    ...throughput(load),
    "lost deliveries": load.lost,
    ...toRemote,
    "bytes per second to an idle node": idleNodeRate(load.before, load.after, load.seconds),
    "bytes per second to an idle node, without messages": withoutMessages,
  };
}

/** The busy room and the many rooms, each spread over two nodes. */
export async function cluster(server: MeasuredServer): Promise<Figures> {
  return {
    ...prefixed("busy room, 2 nodes", await acrossNodes(server, busyRoom)),
    ...prefixed("many rooms, 2 nodes", await acrossNodes(server, manyRooms)),
  };
}
