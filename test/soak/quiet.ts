import { setTimeout as sleep } from "node:timers/promises";
import type { House } from "./house.ts";
import { total } from "./scrape.ts";

/** The longest that sessions may outlive their clients: a polling one ends with its last unanswered ping. */
const longestMs = 15_000;

/** Waits until no session is left, or none has gone for long, and then gives the server a rest. */
export async function quiet(house: House, restMs: number): Promise<void> {
  const deadline = Date.now() + longestMs;
  while (total(await house.scrape(), "roomcast_sessions") > 0 && Date.now() < deadline) await sleep(200);
  await sleep(restMs);
}
