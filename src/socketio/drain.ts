import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Socket, Server as StockEngine } from "engine.io";
import { disconnectReasons } from "../errors.ts";
import { spread } from "../limits/numbers.ts";
import { Engine, type EngineSocket } from "./engine.ts";
import { clientsOf } from "./internals.ts";
import { OutboxTransport } from "./outbox.ts";

/** The time that clients have to take what was sent and to answer the close, in milliseconds. */
const longestFarewellMs = 1_000;

/**
 * Ends all sessions over a time, so that those who reconnect do not come as one herd; each hears first what was sent to
 * it. A client that is still taking what it was sent is ended once it has taken all, or a second after that time.
 * Resolves when all have gone, or have not within a second of the last goodbye.
 *
 * @param onGoodbye is called as each is ended
 */
export async function drain(engine: StockEngine, overMs: number, onGoodbye: () => void): Promise<void> {
  if (engine instanceof Engine) await settle(engine);
  const connections = Object.values(clientsOf(engine));
  const isTaking = (connection: Socket) =>
    engine instanceof Engine && engine.backlog.isTaking(connection as unknown as EngineSocket);
  const start = performance.now();
  const dues = spread(connections.length, overMs);
  let taking: Socket[] = [];
  for (const [index, connection] of connections.entries()) {
    const early = (dues[index] ?? 0) - (performance.now() - start);
    if (early > 1) await sleep(early);
    if (isTaking(connection)) taking.push(connection);
    else sayGoodbye(connection, onGoodbye);
  }
  while (taking.length > 0) {
    const isLate = performance.now() - start > overMs + longestFarewellMs;
    for (const connection of taking) {
      if (isLate || !isTaking(connection)) sayGoodbye(connection, onGoodbye);
    }
    taking = taking.filter(({ readyState }) => readyState === "open");
    if (taking.length > 0) await sleep(10);
  }
  const late = performance.now() + longestFarewellMs;
  while (engine.clientsCount > 0 && performance.now() < late) await sleep(10);
}

/** Lets what clients have sent be handled, also of those that were held back. */
async function settle({ pacer }: Engine): Promise<void> {
  pacer.close();
  const late = performance.now() + longestFarewellMs;
  while (!pacer.isIdle && performance.now() < late) await turn();
}

function sayGoodbye(connection: Socket, onGoodbye: () => void): void {
  const { transport } = connection;
  if (transport instanceof OutboxTransport) {
    transport.farewell = [disconnectReasons["server shutting down"].code, "server shutting down"];
  }
  if (connection.readyState !== "open") return;
  onGoodbye();
  connection.close();
}
