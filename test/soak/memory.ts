import { setTimeout as sleep } from "node:timers/promises";
import { type House, settings } from "./house.ts";
import { quiet } from "./quiet.ts";
import { total } from "./scrape.ts";

/** What a server without clients takes, in bytes. */
export interface Weight {
  /** Resident, as it says itself. */
  said: number;
  /** Resident, as the operating system counts it. */
  resident: number;
  heap: number;
  external: number;
}

/** The share by which what is resident may differ in the end. */
const tolerance = 0.1;

/**
 * Weighs a server that its clients have left, after a rest and without its garbage. Of each figure the least of some
 * seconds counts, for pages go back to the operating system only one by one.
 */
export async function weigh(house: House, restSeconds: number): Promise<Weight> {
  await quiet(house, (restSeconds * 1_000) / 2);
  await house.collect();
  const least = { said: Infinity, resident: Infinity, heap: Infinity, external: Infinity };
  for (let second = 0; second < restSeconds / 2; second++) {
    await sleep(1_000);
    const now = await weight(house);
    for (const name of Object.keys(least) as (keyof Weight)[]) least[name] = Math.min(least[name], now[name]);
  }
  return least;
}

async function weight(house: House): Promise<Weight> {
  const now = await house.scrape();
  return {
    said: total(now, "process_resident_memory_bytes"),
    resident: house.memory.resident,
    heap: total(now, "nodejs_heap_size_used_bytes"),
    external: total(now, "nodejs_external_memory_bytes"),
  };
}

const mostOf = ({ resident }: Weight): number => resident + settings["memory-max"];

/** What is wrong with the memory of a server between two weighings, in words. */
export function heaviness(start: Weight, end: Weight, peak: number): string[] {
  const found: string[] = [];
  for (const which of ["said", "resident"] as const) {
    if (Math.abs(end[which] / start[which] - 1) <= tolerance) continue;
    found.push(`resident memory (${which}) was ${mega(start[which])} and is ${mega(end[which])}`);
  }
  const most = mostOf(start);
  if (peak > most) found.push(`resident memory was ${mega(peak)} at its peak, more than ${mega(most)}`);
  return found;
}

/** The two weighings beside each other, a line for each figure. */
export function weights(start: Weight, end: Weight, peak: number): string {
  const change = (which: keyof Weight) =>
    `${mega(start[which])} at the start, ${mega(end[which])} at the end: ${percent(end[which] / start[which] - 1)}`;
  return [
    `resident memory, by /metrics: ${change("said")}`,
    `resident memory, by the operating system: ${change("resident")}`,
    `heap in use: ${change("heap")}`,
    `memory of buffers: ${change("external")}`,
    `resident at its peak: ${mega(peak)}; start and --memory-max are ${mega(mostOf(start))}`,
  ].join("\n");
}

export function mega(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function percent(share: number): string {
  return `${share < 0 ? "" : "+"}${(100 * share).toFixed(1)} %`;
}
