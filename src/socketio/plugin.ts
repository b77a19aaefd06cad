import { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { fastifyPlugin } from "fastify-plugin";
import { endings, type RefusalCode, refusals, SettingError } from "../errors.ts";
import type { Health } from "../health.ts";
import { answerTimeMs, tcpConnections } from "../limits.ts";
import { type Count, type Metrics, Tally } from "../metrics.ts";
import type { Namespace } from "../namespaces/namespace.ts";
import { Addresses } from "../net/address.ts";
import { limitConnections } from "../net/connections.ts";
import { listenOnOneAddress } from "../net/one-address.ts";
import { RepeatLog } from "../repeat-log.ts";
import { clientFiles } from "./client-files.ts";
import { drain } from "./drain.ts";
import { Gate, type GateOptions } from "./gate.ts";
import type { EngineRequest } from "./internals.ts";
import { mount } from "./mount.ts";
import { fast, type ServerOptions, type Serving } from "./server.ts";
import { type SessionOptions, Sessions } from "./sessions.ts";

const path = "/socket.io/";
export interface SocketIOOptions extends ServerOptions, GateOptions, SessionOptions {
  namespaces: readonly Namespace[];
  metrics: Metrics;
  health: Health;
  drainDelayMs: number;
  drainTimeMs: number;
  /** Makes the server: ours unless another is given. */
  makeServer?: typeof fast;
}

declare module "fastify" {
  interface FastifyInstance {
    /**
     * Lets go of all clients before the app is closed: `/readyz` says so, then no new session may begin, then
     * connections end one after the other, what was sent to them first.
     */
    drain(): Promise<void>;
  }
}

/**
 * Serves namespaces, and the client's own files, over Socket.IO on the port of the Fastify server: below
 * `/socket.io/`, whatever prefix the scope has that it is registered in.
 *
 * @throws {SettingError} for an app of HTTP/2
 */
export const socketio = fastifyPlugin(async (app: FastifyInstance, options: SocketIOOptions) => {
  if (![HttpServer, HttpsServer].some((Server) => (app.server as object) instanceof Server))
    throw new SettingError("roomcast needs an app of HTTP/1.1: register it in a Fastify app without http2.");
  const { namespaces, metrics, health, makeServer = fast } = options;
  const serving = makeServer(options, (reason) => metrics.endings.add([reason]));
  const { engine, io } = serving;
  const addresses = new Addresses(options.trustProxy);
  const gate = new Gate(options, addresses, health);
  const log = new RepeatLog(app.log);
  const sessions = new Sessions(serving, options, { metrics, health, log });
  for (const namespace of namespaces) sessions.serve(namespace);
  // A rate sees how a count grows: one that begins at the first of its kind does not seem to have grown.
  for (const code of Object.keys(refusals)) metrics.refusals.of([code]);
  for (const reason of Object.keys(endings)) metrics.endings.of([reason]);
  const refuse = (code: RefusalCode) => metrics.refusals.add([code]);
  gate.watch(serving, refuse);
  app.server.on("clientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_HTTP_REQUEST_TIMEOUT") refuse("handshake_timeout");
  });
  app.server.on("tlsClientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") refuse("handshake_timeout");
  });
  for (const reason of ["too many connections", "pipelined"]) metrics.tcpClosed.of([reason]);
  /** A connection that is closed without an answer. */
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
  const files = await clientFiles(path, app.log, answerTimeMs(options.outboxAgeMs));
  const doorkeeper = (request: EngineRequest) => {
    const refusal = gate.refusal(request);
    if (!refusal) return undefined;
    refuse(refusal.code);
    const { code, message } = refusal;
    const about = { address: addresses.of(request), code };
    log.write({ level: "info", message: "turned away", about, details: { why: message } });
    return refusal;
  };
  mount(engine, app.server, path, doorkeeper, {
    files: files.routing,
    onOverflow: (socket) => closeTcp("pipelined", addresses.ofPeer(socket)),
  });
  metrics.read({
    connections: () => namespaces.flatMap(({ name }) => connectionsOf(serving, name)),
    sessions: () => engine.clientsCount,
    rooms: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.count]),
    traffic: serving.traffic,
    outboxes: serving.outboxes,
    inboundBytes: serving.inboundBytes,
  });

  app.decorate("io", io);
  app.decorate("drain", async () => {
    health.leaving = true;
    await sleep(options.drainDelayMs);
    health.closed = true;
    await Promise.allSettled(sessions.pending);
    // What they answer is sent in the turn after.
    await turn();
    await drain(engine, options.drainTimeMs, () => metrics.endings.add(["server shutting down"]));
  });
  app.addHook("onClose", async () => {
    await files.close();
    log.close();
  });
  app.addHook("preClose", async () => {
    health.closed = true;
    // Stops listening first, so that nobody reconnects to a server that is going away.
    app.server.close();
    await io.close();
    sessions.close();
  });
});

/** How many are in a namespace, by their transport and the version of their protocol. */
function connectionsOf({ io }: Serving, name: string): Count[] {
  const tally = new Tally();
  for (const { conn } of io.of(name).sockets.values()) {
    tally.add([name, conn.transport.name, String(conn.protocol)]);
  }
  return [...tally];
}
