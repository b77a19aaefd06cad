import type { Server } from "node:https";
import Fastify, {
  type FastifyInstance,
  type FastifyServerOptions,
  LogController,
  type RegisterOptions,
} from "fastify";
import { fastifyPlugin } from "fastify-plugin";
import type { Registry } from "prom-client";
import { authority } from "./auth.ts";
import { readOptions } from "./config/read.ts";
import type { RoomSettings, Settings } from "./config/settings.ts";
import { Health } from "./health.ts";
import { operations } from "./http/operations.ts";
import { page } from "./http/page.ts";
import type { KeyLog } from "./key-set.ts";
import { answerTimeMs, overloadDelayMs, tcpConnections } from "./limits.ts";
import { Metrics } from "./metrics.ts";
import { chat } from "./namespaces/chat.ts";
import { root } from "./namespaces/root.ts";
import { boundAnswerTime } from "./net/answer-time.ts";
import { Rooms } from "./rooms/rooms.ts";
import { socketio } from "./socketio/plugin.ts";
import { readCertificate } from "./tls.ts";

export type { SocketIOServer } from "./socketio/server.ts";

/** The plugin's options; durations in milliseconds, sizes in bytes. Each has the default of the setting of its name. */
export type RoomcastOptions = Partial<RoomSettings>;

declare module "fastify" {
  interface FastifyInstance {
    /** What roomcast counts, to be served where the app sees fit. */
    metrics: Registry;
    /** Whether it is ready for more, and if not, why. */
    health: Health;
  }
}

/**
 * The Fastify plugin: the namespaces `/` and `/chat` with their rooms, over Socket.IO on the port of the
 * app that registers it. The app's own routes are left alone; what it may not use is the path `/socket.io/`,
 * which is at the root also where the plugin is registered with a prefix.
 *
 * @throws {SettingError} while the app gets ready, for an option that does not exist or is out of bounds
 */
export const roomcast = fastifyPlugin<RoomcastOptions>(
  async (app, { prefix, logLevel, logSerializers, ...options }: RoomcastOptions & RegisterOptions) => {
    const settings = readOptions(options);
    const health = new Health();
    const metrics = new Metrics();
    health.heed(() => (metrics.loopDelayMs > overloadDelayMs ? "the event loop is late" : undefined));
    await app.register(socketio, { ...settings, namespaces: namespaces(settings, app.log), metrics, health });
    app.addHook("onListen", () => app.log.info(whoMayConnect(settings)));
    app.decorate("metrics", metrics.registry);
    app.decorate("health", health);
    app.addHook("onClose", async () => metrics.close());
  },
  { name: "roomcast", fastify: "5.x" },
);

function whoMayConnect({ authSecret, authJwks }: RoomSettings): string {
  if (authSecret !== undefined) return "tokens are required: signed with --auth-secret";
  if (authJwks !== undefined)
    return `tokens are required: signed with the keys of ${authJwks.replace(/\?.*/s, "")}`;
  return "no tokens are required: a userId is whatever a client says";
}

/** Every namespace, with rooms of its own. */
export function namespaces(settings: RoomSettings, log: KeyLog) {
  const { maxTextChars, maxRooms } = settings;
  const setup = { maxTextChars, authority: authority(settings, log) };
  return [
    root({ ...setup, rooms: new Rooms("/", maxRooms) }),
    chat({ ...setup, rooms: new Rooms("/chat", maxRooms) }),
  ];
}

/** The time that requests in flight have to end when the server closes. */
const longestCloseMs = 1_000;

/** The longest that a client may take to send one whole request, and how often that is looked at. */
const longestRequestMs = 60_000;
const lookEveryMs = 2_000;

/** Of a request to the page or to what operators ask. */
const longestBodyBytes = 1_024;

/** What the whole server takes beside the plugin's options. */
export type BuildOptions = RoomcastOptions &
  Partial<Pick<Settings, "host" | "operationsPort" | "tlsCert" | "tlsKey">>;

/**
 * The whole server, as the command runs it: the rooms, the page, and what operators ask. It does not listen yet.
 *
 * @throws {SettingError} for an option that cannot be used
 */
export async function build(
  { host = "127.0.0.1", operationsPort, tlsCert, tlsKey, ...options }: BuildOptions,
  logger: FastifyServerOptions["logger"] = false,
): Promise<FastifyInstance> {
  const settings = readOptions(options);
  const { handshakeTimeoutMs, maxConnections } = settings;
  const http = {
    headersTimeout: handshakeTimeoutMs,
    handshakeTimeout: handshakeTimeoutMs,
    requestTimeout: Math.max(longestRequestMs, handshakeTimeoutMs),
    connectionsCheckingInterval: Math.min(lookEveryMs, handshakeTimeoutMs),
  };
  const logController = new LogController({ disableRequestLogging: true });
  // No route takes a body, but Fastify would collect one before it answers 404.
  const bodyLimit = longestBodyBytes;
  const app = (
    tlsCert !== undefined && tlsKey !== undefined
      ? Fastify({ logger, logController, bodyLimit, https: { ...http, ...readCertificate(tlsCert, tlsKey) } })
      : Fastify({ logger, logController, bodyLimit, http })
  ) as FastifyInstance;
  // The files that a process may open are few.
  app.server.maxConnections = tcpConnections(maxConnections);
  app.addHook("onRequest", boundAnswerTime(answerTimeMs(settings.outboxAgeMs)));
  app.addHook("preClose", async () => {
    // A browser keeps spare connections that are not idle for Node, and would hold up the end for a minute.
    const late = setTimeout(() => app.server.closeAllConnections(), longestCloseMs);
    app.server.once("close", () => clearTimeout(late));
  });
  await app.register(roomcast, settings);
  await app.register(page);
  const { metrics, health } = app;
  if (operationsPort === undefined) app.register(operations, { metrics, health, loopbackOnly: true });
  else serveApart(app, host, operationsPort);
  return app;
}

/** Serves operators on a port of their own, from before the server listens until after it has closed. */
function serveApart(app: FastifyInstance, host: string, port: number): void {
  const { metrics, health } = app;
  const apart = Fastify({ bodyLimit: longestBodyBytes });
  apart.register(operations, { metrics, health, loopbackOnly: false });
  app.addHook("onReady", async () => {
    app.log.info(`metrics and health are at ${await apart.listen({ host, port })}`);
  });
  app.addHook("onClose", () => apart.close());
}

/** Reads the certificate of a server with TLS again; what was begun with the last one goes on. */
export function renewCertificate(app: FastifyInstance, tlsCert: string, tlsKey: string): void {
  (app.server as Server).setSecureContext(readCertificate(tlsCert, tlsKey));
}
