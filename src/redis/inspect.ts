import type { Redis } from "ioredis";

/** The smallest `client-output-buffer-limit` for subscribers, in bytes; 0 means no limit. */
const minSubscriberBuffer = 32 * 1_024 * 1_024;

/** Sentences about settings of Redis that lose messages; none if it does not let them be read. */
export async function inspect(redis: Redis): Promise<string[]> {
  const warnings: string[] = [];
  try {
    const [, policy = ""] = (await redis.config("GET", "maxmemory-policy")) as string[];
    const [, limits = ""] = (await redis.config("GET", "client-output-buffer-limit")) as string[];
    if (policy !== "" && policy !== "noeviction")
      warnings.push(`Redis may evict rooms: its maxmemory-policy is ${policy}. Set it to noeviction.`);
    const [, limit] = /pubsub (\d+)/.exec(limits) ?? [];
    if (limit !== undefined && limit !== "0" && Number(limit) < minSubscriberBuffer)
      warnings.push(
        `Redis may disconnect this node in a burst: its client-output-buffer-limit for pubsub is ${limit} bytes. Set it to at least ${minSubscriberBuffer}.`,
      );
  } catch {
    // Managed services forbid CONFIG.
  }
  return warnings;
}
