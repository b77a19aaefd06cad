import type { Server } from "node:https";
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from "fastify";
import type { CommonSettings } from "./config/settings.ts";
import { type Core, createCore } from "./core.ts";
import { operations } from "./http/operations.ts";
import { page } from "./http/page.ts";
import { answerTimeMs, boundAnswerTime } from "./net/answer-time.ts";
import { tcpConnectionsFor } from "./net/tcp-limit.ts";
import { serve } from "./roomcast.ts";
import { readCertificate } from "./tls.ts";

/** How long the server waits for requests in progress when it closes. */
const longestCloseMs = 1_000;

/** The time that a client has to send a whole request, unless the handshake timeout is longer. */
const longestRequestMs = 60_000;
/** How often Node checks the request timeouts. */
const requestCheckMs = 2_000;

/** The largest body of a request to the page or to the operations routes. */
const longestBodyBytes = 1_024;

type Logger = NonNullable<FastifyServerOptions["logger"]>;

/** The settings of the rooms and of the HTTP server around them. */
export interface ServerSettings extends CommonSettings {
  /** As in `RoomcastOptions`; the command has no setting for it. */
  publicNamespaces?: string[];
  host?: string;
  operationsPort?: number | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
}

/**
 * Builds the server that the command runs: the rooms, the page and the operations routes. The caller makes it
 * listen.
 *
 * @throws {SettingError} if the token keys or the certificate cannot be used
 */
export async function build(settings: ServerSettings, log: Logger = false): Promise<FastifyInstance> {
  const { host = "127.0.0.1", operationsPort, tlsCert, tlsKey } = settings;
  const { handshakeTimeoutMs, maxConnections } = settings;
  const http = {
    headersTimeout: handshakeTimeoutMs,
    handshakeTimeout: handshakeTimeoutMs,
    requestTimeout: Math.max(longestRequestMs, handshakeTimeoutMs),
    connectionsCheckingInterval: Math.min(requestCheckMs, handshakeTimeoutMs),
  };
  let core: Core | undefined;
  const logger = naming(() => core?.cluster?.node.id, log);
  const logController = new LogController({ disableRequestLogging: true });
  // No route takes a body, but Fastify reads the whole body before it answers 404.
  const bodyLimit = longestBodyBytes;
  const app = (
    tlsCert !== undefined && tlsKey !== undefined
      ? Fastify({ logger, logController, bodyLimit, https: { ...http, ...readCertificate(tlsCert, tlsKey) } })
      : Fastify({ logger, logController, bodyLimit, http })
  ) as FastifyInstance;
  // Each connection takes one of the file descriptors of the process.
  app.server.maxConnections = tcpConnectionsFor(maxConnections);
  app.addHook("onRequest", boundAnswerTime(answerTimeMs(settings.sendQueueAgeMs)));
  app.addHook("preClose", async () => {
    // Browsers keep spare connections open. Node does not count them as idle, and close() would wait a minute
    // for them.
    const timer = setTimeout(() => app.server.closeAllConnections(), longestCloseMs);
    app.server.once("close", () => clearTimeout(timer));
  });
  const roomSettings = { publicNamespaces: [], ...settings };
  core = createCore(roomSettings, app.log);
  await serve(app, roomSettings, core);
  await app.register(page);
  const { metrics, health } = app.roomcast;
  if (operationsPort === undefined) app.register(operations, { metrics, health, loopbackOnly: true });
  else serveOperations(app, host, operationsPort);
  return app;
}

/** The options of a log whose lines name the node, if there is one. */
const naming = (nodeId: () => string | undefined, log: Logger): Logger =>
  log && { ...(log === true ? undefined : log), mixin: () => ({ node: nodeId() }) };

/**
 * Serves the operations routes on their own port, from before the server listens until after it has closed.
 */
function serveOperations(app: FastifyInstance, host: string, port: number): void {
  const { metrics, health } = app.roomcast;
  const server = Fastify({ bodyLimit: longestBodyBytes });
  server.register(operations, { metrics, health, loopbackOnly: false });
  app.addHook("onReady", async () => {
    app.log.info(`metrics and health are at ${await server.listen({ host, port })}`);
  });
  app.addHook("onClose", () => server.close());
}

/** Reads the certificate of a TLS server again; open connections keep the old one. */
export function renewCertificate(app: FastifyInstance, tlsCert: string, tlsKey: string): void {
  (app.server as Server).setSecureContext(readCertificate(tlsCert, tlsKey));
}
