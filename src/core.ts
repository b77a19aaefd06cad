import type { KeyLog } from "./auth/key-set.ts";
import type { Authenticator } from "./auth/permissions.ts";
import { tokenVerifier } from "./auth/tokens.ts";
import type { RoomSettings } from "./config/settings.ts";
import { disconnectReasons, refusals } from "./errors.ts";
import { Admission } from "./limits/admission.ts";
import { RateLimiter } from "./limits/rate-limiter.ts";
import { chat, root } from "./namespaces/builtin.ts";
import { Dispatcher } from "./namespaces/dispatcher.ts";
import type { Namespace } from "./namespaces/namespace.ts";
import { Health } from "./ops/health.ts";
import { type Count, Metrics, overloadDelayMs, Tally } from "./ops/metrics.ts";
import { type LineLog, RepeatLog } from "./ops/repeat-log.ts";
import { Rooms } from "./rooms/rooms.ts";

/** The parts of a server that all its gateways share. */
export interface Core {
  /** One per namespace. */
  readonly dispatchers: readonly Dispatcher[];
  /** Undefined if no tokens are required. */
  readonly authenticator: Authenticator | undefined;
  readonly rateLimiter: RateLimiter;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly log: RepeatLog;
}

/** Creates the core. @throws {SettingError} if the keys of tokens cannot be read */
export function createCore(settings: RoomSettings, logger: LineLog & KeyLog): Core {
  const { maxTextChars, maxRooms, eventsPerSecond, eventsBurst, handlerTimeoutMs } = settings;
  const authenticator = tokenVerifier(settings, logger);
  const setup = { maxTextChars, authenticator };
  const namespaces = [
    root({ ...setup, rooms: new Rooms("/", { maxRooms }) }),
    chat({ ...setup, rooms: new Rooms("/chat", { maxRooms }) }),
  ];
  const metrics = new Metrics();
  const health = new Health();
  health.addCheck(() => (metrics.loopDelayMs > overloadDelayMs ? "the event loop is late" : undefined));
  const admission = new Admission(settings, () => health.closed);
  health.addCheck(() => (admission.isFull ? "the maximum number of connections is reached" : undefined));
  const log = new RepeatLog(logger);
  const rateLimiter = new RateLimiter(eventsPerSecond, eventsBurst);
  const shared = { handlerTimeoutMs, rateLimiter, metrics, log };
  const dispatchers = namespaces.map((namespace) => new Dispatcher(namespace, shared));
  // Prometheus rates need a first sample of 0, so every label exists before its first occurrence.
  for (const code of Object.keys(refusals)) metrics.refusals.of([code]);
  for (const reason of Object.keys(disconnectReasons)) metrics.endings.of([reason]);
  metrics.showCore({
    connections: () => connectionsOf(namespaces),
    rooms: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.hub.roomCount]),
    deliveries: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.hub.delivered]),
  });
  return { dispatchers, authenticator, rateLimiter, admission, metrics, health, log };
}

/** Stops the timers of a core and writes the pending lines of its log. */
export function closeCore({ metrics, log }: Core): void {
  metrics.close();
  log.close();
}

/** The number of connections by namespace, transport and protocol version. */
function connectionsOf(namespaces: readonly Namespace[]): Tally {
  const tally = new Tally();
  for (const { name, rooms } of namespaces) {
    for (const { transport, protocol } of rooms.hub.connections) {
      tally.add([name, transport, String(protocol)]);
    }
  }
  return tally;
}
