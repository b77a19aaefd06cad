import type { KeyLog } from "./auth/key-set.ts";
import type { Authenticator } from "./auth/permissions.ts";
import { tokenVerifier } from "./auth/tokens.ts";
import type { RoomSettings } from "./config/settings.ts";
import { disconnectReasons, refusals } from "./errors.ts";
import { Admission } from "./limits/admission.ts";
import { overloadDelayMs } from "./limits/numbers.ts";
import { RateLimiter } from "./limits/rate-limiter.ts";
import { Attempts } from "./namespaces/attempts.ts";
import { chat, root } from "./namespaces/builtin.ts";
import { Dispatcher } from "./namespaces/dispatcher.ts";
import { Handshakes } from "./namespaces/handshakes.ts";
import type { Namespace } from "./namespaces/namespace.ts";
import { Health } from "./ops/health.ts";
import { type Count, Metrics, Tally } from "./ops/metrics.ts";
import { type LineLog, RepeatLog } from "./ops/repeat-log.ts";
import type { BrokerListener } from "./rooms/broker.ts";
import { Dedup } from "./rooms/dedup.ts";
import { LogStore } from "./rooms/log-store.ts";
import { MemoryBroker } from "./rooms/memory-broker.ts";
import { Rooms } from "./rooms/rooms.ts";

/** A replay waits for its reader each time it has sent this part of the longest send queue. */
const replayPagePart = 1 / 8;

/** An answer to `history` may take this multiple of the longest send queue: a client that reads is not cut. */
const historyPagePart = 2;

/** The ids of messages, of one namespace, may take this part of the memory for logs. */
const dedupPart = 1 / 8;

/** The parts of a server that all its gateways share. */
export interface Core {
  /** One per namespace. */
  readonly dispatchers: readonly Dispatcher[];
  readonly attempts: Attempts;
  readonly handshakes: Handshakes;
  /** Undefined if no tokens are required. */
  readonly authenticator: Authenticator | undefined;
  readonly rateLimiter: RateLimiter;
  readonly admission: Admission;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly log: RepeatLog;
  readonly logs: LogStore;
}

/** Creates the core. @throws {SettingError} if the keys of tokens cannot be read */
export function createCore(settings: RoomSettings, logger: LineLog & KeyLog): Core {
  const { maxTextChars, maxRooms, eventsPerSecond, eventsBurst, handlerTimeoutMs } = settings;
  const { presenceGraceMs, dedupTimeMs, historyMemoryMaxBytes, sendQueueMaxBytes } = settings;
  const authenticator = tokenVerifier(settings, logger);
  const setup = { maxTextChars, authenticator };
  const logs = new LogStore(settings);
  const roomsOptions = {
    maxRooms,
    presenceGraceMs,
    replayPageBytes: sendQueueMaxBytes * replayPagePart,
    historyPageBytes: sendQueueMaxBytes * historyPagePart,
    broker: (listener: BrokerListener) =>
      new MemoryBroker(listener, logs, new Dedup(dedupTimeMs, historyMemoryMaxBytes * dedupPart)),
  };
  const namespaces = [
    root({ ...setup, rooms: new Rooms("/", roomsOptions) }),
    chat({ ...setup, rooms: new Rooms("/chat", roomsOptions) }),
  ];
  const metrics = new Metrics();
  const health = new Health();
  health.addCheck(() => (metrics.loopDelayMs > overloadDelayMs ? "the event loop is late" : undefined));
  const admission = new Admission(settings, () => health.refusesSessions);
  health.addCheck(() => (admission.isFull ? "the maximum number of connections is reached" : undefined));
  const log = new RepeatLog(logger);
  const rateLimiter = new RateLimiter(eventsPerSecond, eventsBurst);
  const attempts = new Attempts({ handlerTimeoutMs, log });
  const handshakes = new Handshakes({ attempts, rateLimiter, metrics, log });
  const shared = { attempts, handshakes, rateLimiter, metrics, log };
  const dispatchers = namespaces.map((namespace) => new Dispatcher(namespace, shared));
  // Prometheus rates need a first sample of 0, so every label exists before its first occurrence.
  for (const code of Object.keys(refusals)) metrics.refusals.of([code]);
  for (const reason of Object.keys(disconnectReasons)) metrics.endings.of([reason]);
  metrics.showCore({
    connections: () => connectionsOf(namespaces),
    rooms: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.hub.roomCount]),
    deliveries: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.hub.delivered]),
  });
  return {
    dispatchers,
    attempts,
    handshakes,
    authenticator,
    rateLimiter,
    admission,
    metrics,
    health,
    log,
    logs,
  };
}

/** Stops the timers of a core and writes the pending lines of its log. */
export function closeCore({ dispatchers, metrics, log, logs }: Core): void {
  for (const { namespace } of dispatchers) namespace.rooms.close();
  logs.close();
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
