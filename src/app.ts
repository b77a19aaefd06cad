import type { Server } from "node:https";
import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from "fastify";
import type { CommonSettings } from "./config/settings.ts";
import { operations } from "./http/operations.ts";
import { page } from "./http/page.ts";
import { answerTimeMs, tcpConnections } from "./limits/numbers.ts";
import { boundAnswerTime } from "./net/answer-time.ts";
import { serve } from "./roomcast.ts";
import { readCertificate } from "./tls.ts";

/** The time that requests in flight have to end when the server closes. */
const longestCloseMs = 1_000;

/** The longest that a client may take to send one whole request, and how often that is looked at. */
const longestRequestMs = 60_000;
const lookEveryMs = 2_000;

/** Of a request to the page or to what operators ask. */
const longestBodyBytes = 1_024;

/** The settings of the rooms, and those of the server around them. */
export interface ServerSettings extends CommonSettings {
  /** As `RoomcastOptions` has it; the command has no namespaces of its own. */
  publicNamespaces?: string[];
  host?: string;
  operationsPort?: number | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
}

/**
 * The whole server, as the command runs it: the rooms, the page, and what operators ask. It does not listen yet.
 *
 * @throws {SettingError} for keys or a certificate that cannot be used
 */
export async function build(
  settings: ServerSettings,
  logger: FastifyServerOptions["logger"] = false,
): Promise<FastifyInstance> {
  const { host = "127.0.0.1", operationsPort, tlsCert, tlsKey } = settings;
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
  app.addHook("onRequest", boundAnswerTime(answerTimeMs(settings.sendQueueAgeMs)));
  app.addHook("preClose", async () => {
    // A browser keeps spare connections that are not idle for Node, and would hold up the end for a minute.
    const late = setTimeout(() => app.server.closeAllConnections(), longestCloseMs);
    app.server.once("close", () => clearTimeout(late));
  });
  await serve(app, { publicNamespaces: [], ...settings });
  await app.register(page);
  const { metrics, health } = app.roomcast;
  if (operationsPort === undefined) app.register(operations, { metrics, health, loopbackOnly: true });
  else serveApart(app, host, operationsPort);
  return app;
}

/** Serves operators on a port of their own, from before the server listens until after it has closed. */
function serveApart(app: FastifyInstance, host: string, port: number): void {
  const { metrics, health } = app.roomcast;
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
