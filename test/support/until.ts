import { setTimeout as sleep } from "node:timers/promises";

/**
 * Retries an assertion until it holds; after ten seconds it throws the assertion's last error. Do not use
 * `assert.ok` in it, which parses the source for its message each time it fails.
 */
export async function until(assertion: () => void | Promise<void>): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(10);
    }
  }
}
