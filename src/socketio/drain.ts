import { setTimeout as sleep } from "node:timers/promises";
import type { Server as Engine } from "engine.io";
import { endings } from "../errors.ts";
import { spread } from "../limits.ts";
import { clientsOf } from "./internals.ts";
import { OutboxTransport } from "./outbox.ts";

/** The time that clients have to take what was sent and to answer the close, in milliseconds. */
const longestFarewellMs = 1_000;

/**
 * Ends all sessions over a time, so that those who reconnect do not come as one herd; each hears first what was
 * sent to it. Resolves when all have gone, or have not within a second of the last goodbye.
 *
 * @param onGoodbye is called as each is ended
 */
export async function drain(engine: Engine, overMs: number, onGoodbye: () => void): Promise<void> {
  const connections = Object.values(clientsOf(engine));
  const start = performance.now();
  const dues = spread(connections.length, overMs);
  for (const [index, connection] of connections.entries()) {
    const early = (dues[index] ?? 0) - (performance.now() - start);
    if (early > 1) await sleep(early);
    const { transport } = connection;
    if (transport instanceof OutboxTransport) {
      transport.farewell = [endings["server shutting down"], "server shutting down"];
    }
    if (connection.readyState !== "open") continue;
    onGoodbye();
    connection.close();
  }
  const late = performance.now() + longestFarewellMs;
  while (engine.clientsCount > 0 && performance.now() < late) await sleep(10);
}
