import { FrameBatch } from "./frame-batch.ts";

/** A transport that has collected frames. */
interface Flushable {
  flush(): void;
  fail(error: Error): void;
}

let unflushed: Flushable[] = [];
let emptyBatch = FrameBatch.empty();

/**
 * Starts a batch, which is flushed at the end of this event loop turn.
 *
 * @returns the empty batch from which all transports start in this turn
 */
export function startBatch(transport: Flushable): FrameBatch {
  if (unflushed.length === 0) setImmediate(flushAll);
  unflushed.push(transport);
  return emptyBatch;
}

function flushAll(): void {
  const transports = unflushed;
  unflushed = [];
  for (const transport of transports) {
    try {
      transport.flush();
    } catch (error) {
      transport.fail(error as Error);
    }
  }
  // The next turn starts a new list, so that the frames just sent can be freed.
  emptyBatch = FrameBatch.empty();
}
