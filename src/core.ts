import type { KeyLog } from "./auth/key-set.ts";
import type { Authenticator } from "./auth/permissions.ts";
import { tokenVerifier } from "./auth/tokens.ts";
import type { RoomSettings } from "./config/settings.ts";
import { disconnectReasons, refusals } from "./errors.ts";
import { Admission } from "./limits/admission.ts";
import { overloadDelayMs } from "./limits/numbers.ts";
import { RateLimiter } from "./limits/rate-limiter.ts";
import { chat, root } from "./namespaces/builtin.ts";
import { Dispatcher } from "./namespaces/dispatcher.ts";
import type { Namespace } from "./namespaces/namespace.ts";
import { Health } from "./ops/health.ts";
import { type Count, Metrics, Tally } from "./ops/metrics.ts";
import { type LineLog, RepeatLog } from "./ops/repeat-log.ts";
import { Rooms } from "./rooms/rooms.ts";

/** What every gateway of one server shares. */
export interface Core {
  /** One for each namespace. */
  readonly dispatchers: readonly Dispatcher[];
  /** Undefined where no token is required. */
  readonly authenticator: Authenticator | undefined;
  readonly rateLimiter: RateLimiter;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly log: RepeatLog;
}

/** @throws {SettingError} for keys that cannot be read */
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
  health.addCheck(() => (admission.isFull ? "as many connections as there may be" : undefined));
  const log = new RepeatLog(logger);
  const rateLimiter = new RateLimiter(eventsPerSecond, eventsBurst);
  const shared = { handlerTimeoutMs, rateLimiter, metrics, log };
  const dispatchers = namespaces.map((namespace) => new Dispatcher(namespace, shared));
  // A rate sees how a count grows, so each begins at 0 and not with its first occurrence.
  for (const code of Object.keys(refusals)) metrics.refusals.of([code]);
  for (const reason of Object.keys(disconnectReasons)) metrics.endings.of([reason]);
  metrics.showCore({
    connections: () => connectionsOf(namespaces),
    rooms: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.hub.roomCount]),
    deliveries: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.hub.delivered]),
  });
  return { dispatchers, authenticator, rateLimiter, admission, metrics, health, log };
}

/** Stops the timers of a core, and writes what its log still holds. */
export function closeCore({ metrics, log }: Core): void {
  metrics.close();
  log.close();
}

/** The number of connections on each namespace, by transport and version of the protocol. */
function connectionsOf(namespaces: readonly Namespace[]): Tally {
  const tally = new Tally();
  for (const { name, rooms } of namespaces) {
    for (const { transport, protocol } of rooms.hub.connections) {
      tally.add([name, transport, String(protocol)]);
    }
  }
  return tally;
}
