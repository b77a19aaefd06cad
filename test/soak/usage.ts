import { setTimeout as sleep } from "node:timers/promises";
import { type ServerProcess, total } from "./server-process.ts";

/** What a server without clients uses: memory in bytes, and file descriptors. */
export interface Usage {
  resident: number;
  heap: number;
  external: number;
  descriptors: number;
}

/** The longest that sessions outlive their clients: a polling session ends with its last unanswered ping. */
const longestMs = 20_000;

/** Waits until the server has no session left, and no more file descriptors than before; or for very long. */
export async function quiet(server: ServerProcess, descriptors: number): Promise<void> {
  const isBusy = async () =>
    total(await server.scrape(), "roomcast_sessions") > 0 || server.descriptors > descriptors;
  for (const deadline = Date.now() + longestMs; Date.now() < deadline && (await isBusy()); ) await sleep(200);
}

/**
 * Measures a server that its clients have left, after a rest and without garbage. Each figure is the least of some
 * seconds, since pages return to the operating system one by one.
 */
export async function measure(
  server: ServerProcess,
  restSeconds: number,
  descriptors: number,
): Promise<Usage> {
  await quiet(server, descriptors);
  await sleep((restSeconds * 1_000) / 2);
  await server.collectGarbage();
  const least = { resident: Infinity, heap: Infinity, external: Infinity, descriptors: Infinity };
  for (let second = 0; second < restSeconds / 2; second++) {
    await sleep(1_000);
    const samples = await server.scrape();
    const now: Usage = {
      resident: total(samples, "process_resident_memory_bytes"),
      heap: total(samples, "nodejs_heap_size_used_bytes"),
      external: total(samples, "nodejs_external_memory_bytes"),
      descriptors: server.descriptors,
    };
    for (const name of Object.keys(least) as (keyof Usage)[]) least[name] = Math.min(least[name], now[name]);
  }
  return least;
}
