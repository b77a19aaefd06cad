import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { Engine } from "./engine.ts";
import { clientsOf } from "./internals.ts";
import { type Session, sessionOf } from "./session.ts";

/** How long clients have to take what was sent and to answer the close, in milliseconds. */
const closeGraceMs = 1_000;

/**
 * Closes all sessions, spread over `overMs`, so that their clients do not all reconnect at once. Each client
 * first receives what was sent to it. A client that is still reading is closed once it has read everything,
 * at the latest one second after `overMs`. Resolves when all sessions are gone, or one second after the last
 * close.
 *
 * @param onClosing called as each session is closed
 */
export async function drain(engine: Engine, overMs: number, onClosing: () => void): Promise<void> {
  await settle(engine);
  const sessions = sessionsOf(engine);
  const isReading = (session: Session) => engine.slowConsumers.isReading(session);
  const start = performance.now();
  const dueTimesMs = spread(sessions.length, overMs);
  let reading: Session[] = [];
  for (const [index, session] of sessions.entries()) {
    const waitMs = (dueTimesMs[index] ?? 0) - (performance.now() - start);
    if (waitMs > 1) await sleep(waitMs);
    if (isReading(session)) reading.push(session);
    else closeSession(session, onClosing);
  }
  while (reading.length > 0) {
    const isOverdue = performance.now() - start > overMs + closeGraceMs;
    for (const session of reading) if (isOverdue || !isReading(session)) closeSession(session, onClosing);
    reading = reading.filter(({ isOpen }) => isOpen);
    if (reading.length > 0) await sleep(10);
  }
  const deadline = performance.now() + closeGraceMs;
  while (engine.clientsCount > 0 && performance.now() < deadline) await sleep(10);
}

/**
 * Closes all sessions at once and waits for none of them.
 *
 * @param onClosing called as each session is closed
 */
export function closeSessions(engine: Engine, onClosing: () => void): void {
  for (const session of sessionsOf(engine)) closeSession(session, onClosing);
}

const sessionsOf = (engine: Engine): Session[] => Object.values(clientsOf(engine)).map(sessionOf);

function closeSession(session: Session, onClosing: () => void): void {
  if (!session.isOpen) return;
  onClosing();
  session.finish("server shutting down");
}

/** Waits until all received packets are handled, including those of connections that were held back. */
async function settle({ pacer }: Engine): Promise<void> {
  pacer.close();
  const deadline = performance.now() + closeGraceMs;
  while (!pacer.isIdle && performance.now() < deadline) await turn();
}

/** When each of `count` actions is due, in milliseconds after the first, to spread them over `overMs`. */
function spread(count: number, overMs: number): number[] {
  return Array.from({ length: count }, (_, n) => (n * overMs) / count);
}
