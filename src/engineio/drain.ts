import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { spread } from "../limits/numbers.ts";
import type { Engine } from "./engine.ts";
import { clientsOf } from "./internals.ts";
import { type Session, sessionOf } from "./session.ts";

/** The time that clients have to take what was sent and to answer the close, in milliseconds. */
const longestFarewellMs = 1_000;

/**
 * Ends all sessions over a time, so that those who reconnect do not come as one herd; each hears first what was sent to
 * it. A client that is still reading is ended once it has read everything, or a second after that time.
 * Resolves when all have gone, or have not within a second of the last goodbye.
 *
 * @param onGoodbye is called as each is ended
 */
export async function drain(engine: Engine, overMs: number, onGoodbye: () => void): Promise<void> {
  await settle(engine);
  const sessions = Object.values(clientsOf(engine)).map(sessionOf);
  const isReading = (session: Session) => engine.slowConsumers.isReading(session);
  const sayGoodbye = (session: Session) => {
    if (!session.isOpen) return;
    onGoodbye();
    session.finish("server shutting down");
  };
  const start = performance.now();
  const dues = spread(sessions.length, overMs);
  let reading: Session[] = [];
  for (const [index, session] of sessions.entries()) {
    const early = (dues[index] ?? 0) - (performance.now() - start);
    if (early > 1) await sleep(early);
    if (isReading(session)) reading.push(session);
    else sayGoodbye(session);
  }
  while (reading.length > 0) {
    const isLate = performance.now() - start > overMs + longestFarewellMs;
    for (const session of reading) if (isLate || !isReading(session)) sayGoodbye(session);
    reading = reading.filter(({ isOpen }) => isOpen);
    if (reading.length > 0) await sleep(10);
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
