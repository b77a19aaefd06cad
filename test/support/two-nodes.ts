import { randomUUID } from "node:crypto";
import { after } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { RedisServer } from "./redis.ts";

/** `CLUSTER=1` runs a suite on two nodes in this process. Every second client of a server connects to the second node. */
export const isTwoNodes = process.env.CLUSTER === "1";

let opened: Promise<RedisServer> | undefined;
if (isTwoNodes) after(async () => (await opened)?.close());

/** The settings of nodes that share a redis-server; each call returns another prefix for their keys. */
export async function sharedRedis(): Promise<{ redis: string; redisPrefix: string }> {
  opened ??= RedisServer.open();
  return { redis: (await opened).url, redisPrefix: randomUUID() };
}

/** The second node and the number of clients so far, by the URL of the first node. */
const pairs = new Map<string, { second: string; clients: number }>();

/** Makes two nodes one server, known by the URL of the first. */
export function pair(first: string, second: string): void {
  pairs.set(first, { second, clients: 0 });
}

/** The URLs of the nodes of a server. */
export function nodesOf(url: string): string[] {
  const known = pairs.get(url);
  return known ? [url, known.second] : [url];
}

/** The URL to which the next client of a server connects. */
export function nodeOf(url: string): string {
  const { origin } = new URL(url);
  const known = pairs.get(origin);
  return known && known.clients++ % 2 === 1 ? url.replace(origin, known.second) : url;
}

/** Resolves when the nodes have received everything that was published before. */
export async function delivered(): Promise<void> {
  const redis = await opened;
  // Redis writes what was published at the end of the turn in which it was published, thus before the second answer.
  await redis?.command("PING");
  await redis?.command("PING");
  // This process may read that answer first, but reads the rest in the same turn.
  if (redis) await turn();
}
