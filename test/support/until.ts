import { setTimeout as sleep } from "node:timers/promises";

/**
 * Retries an assertion until it holds; after ten seconds, or `longestMs`, it throws the assertion's last error. Do not
 * use `assert.ok` in it, which parses the source for its message each time it fails.
 */
export async function until(assertion: () => void | Promise<void>, longestMs = 10_000): Promise<void> {
  const deadline = Date.now() + longestMs;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(10);
    }
  }
}
