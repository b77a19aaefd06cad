import { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { FastifyInstance } from "fastify";
import type { Core } from "../core.ts";
import { drain } from "../engineio/drain.ts";
import { Gate } from "../engineio/gate.ts";
import type { EngineRequest } from "../engineio/internals.ts";
import { mount } from "../engineio/mount.ts";
import { sessionOf as sessionOfConnection } from "../engineio/session.ts";
import { type RefusalCode, SettingError } from "../errors.ts";
import { answerTimeMs, tcpConnections } from "../limits/numbers.ts";
import { Addresses } from "../net/address.ts";
import { limitConnections } from "../net/connections.ts";
import { listenOnOneAddress } from "../net/one-address.ts";
import { clientFiles } from "./client-files.ts";
import { SocketIOGateway } from "./connections.ts";
import { EmptySessions } from "./empty-sessions.ts";
import { guardOwnNamespaces } from "./own-namespaces.ts";
import { createServer, type ServerOptions, type SocketIOClient, type SocketIOServer } from "./server.ts";

const path = "/socket.io/";

/** The options of the Socket.IO gateway. */
export interface SocketIOOptions extends Omit<ServerOptions, "namespaces"> {
  core: Core;
  /** Proxies whose `X-Forwarded-For` header is trusted. */
  trustProxy: readonly string[];
  maxConnectionsPerAddress: number;
  /** Namespaces of the application that need no token even if tokens are required. */
  publicNamespaces: readonly string[];
}

/** The Socket.IO gateway, as its registration returns it. */
export interface SocketIO {
  io: SocketIOServer;
  /** Ends all sessions, spread over a time, each after its queued messages have been sent. */
  drain(overMs: number): Promise<void>;
}

/**
 * Serves the namespaces over Socket.IO, and the files of the browser client, on the port of the Fastify
 * server. The path is always `/socket.io/`, regardless of the prefix under which the plugin is registered.
 *
 * @throws {SettingError} if the app serves HTTP/2
 */
export async function socketio(app: FastifyInstance, options: SocketIOOptions): Promise<SocketIO> {
  if (![HttpServer, HttpsServer].some((Server) => (app.server as object) instanceof Server))
    throw new SettingError("roomcast needs an app of HTTP/1.1: register it in a Fastify app without http2.");
  const { dispatchers, admission, metrics, health, log } = options.core;
  const namespaces = dispatchers.map(({ namespace }) => namespace);
  const { engine, io } = createServer({ ...options, namespaces }, (reason) => metrics.endings.add([reason]));
  const sessionOf = ({ conn }: SocketIOClient) => sessionOfConnection(conn);
  const empty = new EmptySessions(options.handshakeTimeoutMs, (socket) =>
    sessionOf(socket).close("no namespace"),
  );
  const isShuttingDown = () => health.closed;
  for (const dispatcher of dispatchers) {
    const nsp = io.of(dispatcher.namespace.name);
    new SocketIOGateway(nsp, dispatcher, { sessionOf, isShuttingDown, empty });
  }
  const { core, publicNamespaces } = options;
  guardOwnNamespaces(io, { core, publicNamespaces, sessionOf, empty });
  const { trustProxy } = options;
  const addresses = new Addresses(trustProxy);
  const refuse = (code: RefusalCode) => metrics.refusals.add([code]);
  const gate = new Gate(engine, { admission, addresses, isBehindProxy: trustProxy.length > 0 }, refuse);
  app.server.on("clientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_HTTP_REQUEST_TIMEOUT") refuse("handshake_timeout");
  });
  app.server.on("tlsClientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") refuse("handshake_timeout");
  });
  for (const reason of ["too many connections", "pipelined"]) metrics.tcpClosed.of([reason]);
  /** Counts and logs a TCP connection that is closed without an answer. */
  const closeTcp = (reason: string, address: string) => {
    metrics.tcpClosed.add([reason]);
    log.write({ level: "info", message: "TCP connection closed", about: { address, reason } });
  };
  limitConnections(app.server, {
    max: tcpConnections(options.maxConnectionsPerAddress),
    addressOf: (socket) => (addresses.trusts(socket) ? undefined : addresses.ofPeer(socket)),
    onRefused: (address) => closeTcp("too many connections", address),
  });
  await listenOnOneAddress(app.server);
  const files = await clientFiles(path, app.log, answerTimeMs(options.sendQueueAgeMs));
  const refusalOf = (request: EngineRequest) => {
    const refusal = gate.refusalOf(request);
    if (!refusal) return undefined;
    refuse(refusal.code);
    const { code, message } = refusal;
    const about = { address: addresses.of(request), code };
    log.write({ level: "info", message: "request refused", about, details: { why: message } });
    return refusal;
  };
  mount(engine, app.server, path, refusalOf, {
    files: files.routing,
    onOverflow: (socket) => closeTcp("pipelined", addresses.ofPeer(socket)),
  });
  metrics.addGateway({
    sessions: () => engine.clientsCount,
    traffic: () => engine.traffic,
    sendQueues: () => engine.slowConsumers.bytes,
    inboundBytes: () => engine.inbound.bytes,
  });
  app.addHook("onClose", () => files.close());
  app.addHook("preClose", async () => {
    health.closed = true;
    // Stops listening first, so that clients do not reconnect to this server.
    app.server.close();
    await io.close();
    empty.close();
  });
  return {
    io,
    drain: (overMs) => drain(engine, overMs, () => metrics.endings.add(["server shutting down"])),
  };
}
