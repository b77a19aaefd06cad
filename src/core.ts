import type { KeyLog } from "./auth/key-set.ts";
import type { Authenticator } from "./auth/permissions.ts";
import { tokenVerifier } from "./auth/tokens.ts";
import type { RoomSettings } from "./config/settings.ts";
import { registerCore } from "./core-metrics.ts";
import { Admission } from "./limits/admission.ts";
import { RateLimiter } from "./limits/rate-limiter.ts";
import { Attempts } from "./namespaces/attempts.ts";
import { chat, root } from "./namespaces/builtin.ts";
import { Dispatcher } from "./namespaces/dispatcher.ts";
import { Handshakes } from "./namespaces/handshakes.ts";
import { Health } from "./ops/health.ts";
import { Metrics, overloadDelayMs } from "./ops/metrics.ts";
import { type LineLog, RepeatLog } from "./ops/repeat-log.ts";
import type { NamespaceName } from "./protocol.ts";
import { Cluster } from "./redis/cluster.ts";
import { registerRedis } from "./redis-metrics.ts";
import { Dedup } from "./rooms/dedup.ts";
import type { Hub } from "./rooms/hub.ts";
import { LogStore } from "./rooms/log-store.ts";
import { MemoryBroker } from "./rooms/memory-broker.ts";
import { MemoryPresence } from "./rooms/memory-presence.ts";
import { type RoomStore, Rooms } from "./rooms/rooms.ts";

/** A replay waits for its reader each time it has sent this part of the longest send queue. */
const replayPagePart = 1 / 8;

/** An answer to `history` may take this multiple of the longest send queue: a client that reads is not disconnected. */
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
  /** Undefined if the rooms live in this process. */
  readonly cluster: Cluster | undefined;
}

/** Creates the core. @throws {SettingError} if the keys of tokens cannot be read */
export function createCore(settings: RoomSettings, logger: LineLog & KeyLog): Core {
  const { maxTextChars, maxRooms, eventsPerSecond, eventsBurst, handlerTimeoutMs } = settings;
  const { presenceGraceMs, dedupTimeMs, historyMemoryMaxBytes, sendQueueMaxBytes } = settings;
  const authenticator = tokenVerifier(settings, logger);
  const setup = { maxTextChars, authenticator };
  const logs = new LogStore(settings);
  const { redis } = settings;
  const cluster = redis === undefined ? undefined : new Cluster({ ...settings, redis }, logger);
  const roomsOptions = {
    maxRooms,
    replayPageBytes: sendQueueMaxBytes * replayPagePart,
    historyPageBytes: sendQueueMaxBytes * historyPagePart,
    store(namespace: NamespaceName, hub: Hub): RoomStore {
      if (cluster) return cluster.store(namespace, hub);
      const presence = new MemoryPresence(hub, presenceGraceMs);
      const dedup = new Dedup(dedupTimeMs, historyMemoryMaxBytes * dedupPart);
      return { presence, broker: new MemoryBroker({ hub, presence, store: logs, dedup }) };
    },
  };
  const namespaces = [
    root({ ...setup, rooms: new Rooms("/", roomsOptions) }),
    chat({ ...setup, rooms: new Rooms("/chat", roomsOptions) }),
  ];
  const metrics = new Metrics();
  const health = new Health();
  health.addCheck(() => (metrics.loopDelayMs > overloadDelayMs ? "the event loop is late" : undefined));
  const admission = new Admission(
    settings,
    () => health.refusesSessions,
    () => cluster?.problem !== undefined,
  );
  health.addCheck(() => cluster?.problem);
  health.addCheck(() => (admission.isFull ? "the maximum number of connections is reached" : undefined));
  const log = new RepeatLog(cluster?.log ?? logger);
  const rateLimiter = new RateLimiter(eventsPerSecond, eventsBurst);
  const attempts = new Attempts({ handlerTimeoutMs, log });
  const handshakes = new Handshakes({ attempts, rateLimiter, metrics, log });
  const shared = { attempts, handshakes, rateLimiter, metrics, log };
  const dispatchers = namespaces.map((namespace) => new Dispatcher(namespace, shared));
  registerCore(metrics, namespaces, logs);
  if (cluster) registerRedis(metrics, cluster);
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
    cluster,
  };
}

/** Leaves the cluster, stops the timers of a core, and writes the pending lines of its log. */
export async function closeCore({ dispatchers, metrics, log, logs, cluster }: Core): Promise<void> {
  await cluster?.close();
  for (const { namespace } of dispatchers) namespace.rooms.close();
  logs.close();
  metrics.close();
  log.close();
}
