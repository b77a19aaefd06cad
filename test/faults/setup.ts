import type { TestContext } from "node:test";
import { Cluster } from "../support/cluster.ts";
import { type FaultyLink, openLink } from "../support/faulty-link.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { type Load, nodeArgs, startLoad } from "./load.ts";
import type { LoadPlan } from "./load-member.ts";

const rooms = ["lobby", "den"];
const talkersPerNode = 3;

/**
 * On each node: members that send messages, a user with this connection only, and a connection of a user that is on all
 * nodes. The nth member starts at the nth node.
 */
export function plans(nodes: number): LoadPlan[] {
  const onEach = (plan: (n: number) => Omit<LoadPlan, "rooms">) =>
    Array.from({ length: nodes }, (_, n) => ({ ...plan(n), rooms }));
  const talkers = Array.from({ length: talkersPerNode }, (_, k) =>
    onEach((n) => ({ name: `talker ${k * nodes + n}`, isActive: true })),
  );
  const alone = onEach((n) => ({ name: `alone ${n}`, isActive: false }));
  const twins = onEach((n) => ({ name: `twin ${n}`, userId: "twin", isActive: false }));
  return [...talkers.flat(), ...alone, ...twins];
}

/** The users that have connections to these nodes only, and do not connect again. */
export const aloneOn = (...nodes: number[]): string[] => nodes.map((n) => `alone ${n}`);

interface Setup {
  redis: RedisServer;
  /** The connection of each node to Redis. */
  links: FaultyLink[];
  cluster: Cluster;
  load: Load;
}

/** Starts a Redis, nodes and a load on them. @param throughLinks whether the nodes reach Redis through `links` */
export async function startNodes(
  t: TestContext,
  count: number,
  { throughLinks = false } = {},
): Promise<Setup> {
  const redis = await startRedis(t);
  const opened = await Promise.all(Array.from({ length: count }, () => openLink(t, redis.port)));
  const links = opened.map(({ link }) => link);
  const cluster = new Cluster(t, ...nodeArgs);
  await cluster.start(...links.map(({ port }) => (throughLinks ? `redis://127.0.0.1:${port}` : redis.url)));
  return { redis, links, cluster, load: await startLoad(t, cluster, plans(count)) };
}
