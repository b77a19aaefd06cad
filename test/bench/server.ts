/*
 * One measured server in its own process: `server.ts NAME WORKLOAD [REDIS_URL]`. It reports its port to the parent
 * process and, on request, the resources that it has used. Only the modules of this one server are loaded.
 */

type Start = (redis?: string) => Promise<number>;

const plainStock = () => import("./servers/plain-stock.ts");
const servers: Record<string, () => Promise<Start>> = {
  roomcast: async () => (await import("./servers/roomcast.ts")).roomcast,
  stock: async () => (await import("./servers/stock.ts")).stock,
  ws: async () => (await import("./servers/raw-ws.ts")).rawWs,
  "stock storm": async () => (await plainStock()).recovery,
  "redis-adapter": async () => (await plainStock()).redisAdapter,
  "sharded-adapter": async () => (await plainStock()).shardedAdapter,
  "streams-adapter": async () => (await plainStock()).streamsAdapter,
};
const [, , server = "", workload = "", redis] = process.argv;
const load = servers[`${server} ${workload}`] ?? servers[server];
if (!load) throw new Error(`there is no server "${server}"`);

process.on("message", () => {
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.send?.({ cpuMs: (user + system) / 1_000, heapBytes: heapUsed + external, rssBytes: rss });
});
process.on("disconnect", () => process.exit());
const start = await load();
process.send?.({ port: await start(redis) });
