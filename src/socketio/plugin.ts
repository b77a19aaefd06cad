import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import serveStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { fastifyPlugin } from "fastify-plugin";
import { endings, type RefusalCode, refusals } from "../errors.ts";
import type { Health } from "../health.ts";
import { type Count, type Metrics, Tally } from "../metrics.ts";
import type { Namespace } from "../namespaces/namespace.ts";
import { drain } from "./drain.ts";
import { Gate, type GateOptions } from "./gate.ts";
import { mount } from "./mount.ts";
import { fast, type ServerOptions, type Serving } from "./server.ts";
import { type SessionOptions, Sessions } from "./sessions.ts";

const path = "/socket.io/";
const clientFiles = join(
  dirname(createRequire(import.meta.url).resolve("socket.io/package.json")),
  "client-dist",
);

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

/** Serves namespaces, and the client's own files, over Socket.IO on the port of the Fastify server. */
export const socketio = fastifyPlugin(async (app: FastifyInstance, options: SocketIOOptions) => {
  const { namespaces, metrics, health, makeServer = fast } = options;
  const serving = makeServer(options, (reason) => metrics.endings.add([reason]));
  const { engine, io } = serving;
  const gate = new Gate(options, health);
  const sessions = new Sessions(serving, options, { metrics, health, log: app.log });
  for (const namespace of namespaces) sessions.serve(namespace);
  // A rate sees how a count grows: one that begins at the first of its kind does not seem to have grown.
  for (const code of Object.keys(refusals)) metrics.refusals.of([code]);
  for (const reason of Object.keys(endings)) metrics.endings.of([reason]);
  const refuse = (code: RefusalCode) => metrics.refusals.add([code]);
  gate.watch(engine, refuse);
  app.server.on("clientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_HTTP_REQUEST_TIMEOUT") refuse("handshake_timeout");
  });
  app.server.on("tlsClientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") refuse("handshake_timeout");
  });
  mount(engine, app.server, path, (request) => {
    const refusal = gate.refusal(request);
    if (!refusal) return undefined;
    refuse(refusal.code);
    app.log.info({ address: gate.addressOf(request), code: refusal.code }, `turned away: ${refusal.message}`);
    return refusal;
  });
  metrics.read({
    connections: () => namespaces.flatMap(({ name }) => connectionsOf(serving, name)),
    sessions: () => engine.clientsCount,
    rooms: () => namespaces.map(({ name, rooms }): Count => [[name], rooms.count]),
    traffic: serving.traffic,
    outboxes: serving.outboxes,
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
  app.register(serveStatic, { root: clientFiles, prefix: path, decorateReply: false });
  app.addHook("preClose", async () => {
    health.closed = true;
    // Stops listening first, so that nobody reconnects to a server that is going away.
    app.server.close();
    await io.close();
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
