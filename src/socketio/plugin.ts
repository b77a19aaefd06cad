import { Server as HttpServer } from "node:http";
import { Server as HttpsServer } from "node:https";
import type { FastifyInstance } from "fastify";
import { closeSessions, drain } from "../engineio/drain.ts";
import { sessionOf as sessionOfConnection } from "../engineio/session.ts";
import { SettingError } from "../errors.ts";
import { guardApplicationNamespaces } from "./application-namespaces.ts";
import { type AttachOptions, attach } from "./attach.ts";
import { EmptySessions } from "./empty-sessions.ts";
import { SocketIOGateway } from "./gateway.ts";
import { createServer, type ServerOptions, type SocketIOClient, type SocketIOServer } from "./server.ts";

/** The options of the Socket.IO gateway. */
export interface SocketIOOptions extends Omit<ServerOptions, "namespaces" | "nodeId">, AttachOptions {
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
  const { dispatchers, metrics, health, log, cluster } = options.core;
  const namespaces = dispatchers.map(({ namespace }) => namespace);
  const nodeId = cluster && (() => cluster.node.id);
  const serverOptions = { ...options, namespaces, nodeId };
  const { engine, io } = createServer(serverOptions, (reason) => metrics.endings.add([reason]));
  const sessionOf = ({ conn }: SocketIOClient) => sessionOfConnection(conn);
  const empty = new EmptySessions(options.handshakeTimeoutMs, (socket) =>
    sessionOf(socket).close("no namespace"),
  );
  const onFault = (err: unknown) =>
    log.write({ level: "error", message: "an application's listener failed", about: {}, details: { err } });
  const isShuttingDown = () => health.refusesSessions;
  for (const dispatcher of dispatchers) {
    const nsp = io.of(dispatcher.namespace.name);
    new SocketIOGateway(nsp, dispatcher, { sessionOf, isShuttingDown, onFault, empty });
  }
  const { core, publicNamespaces } = options;
  guardApplicationNamespaces(io, { core, publicNamespaces, sessionOf, empty });
  await attach(engine, app, options);
  metrics.addGateway({
    sessions: () => engine.clientsCount,
    traffic: () => engine.traffic,
    sendQueues: () => engine.slowConsumers.bytes,
    inboundBytes: () => engine.inbound.bytes,
  });
  const onClosing = () => metrics.endings.add(["server shutting down"]);
  app.addHook("preClose", async () => {
    health.refuseSessions();
    // Stops listening first, so that clients do not reconnect to this server.
    app.server.close();
    closeSessions(engine, onClosing);
    await io.close();
    empty.close();
  });
  return { io, drain: (overMs) => drain(engine, overMs, onClosing) };
}
