import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import type { FastifyInstance, RegisterOptions } from "fastify";
import { fastifyPlugin } from "fastify-plugin";
import type { Registry } from "prom-client";
import type { RoomcastOptions } from "./config/options.ts";
import { readOptions } from "./config/read.ts";
import type { RoomSettings } from "./config/settings.ts";
import { type Core, closeCore, createCore } from "./core.ts";
import type { Health } from "./ops/health.ts";
import { socketio } from "./socketio/plugin.ts";
import type { ApplicationServer } from "./socketio/server.ts";

export type { RoomcastOptions } from "./config/options.ts";
export type { ApplicationServer, SocketData } from "./socketio/server.ts";

/** What the plugin adds to an app, as `app.roomcast`. */
export interface Roomcast {
  /**
   * The Socket.IO server. Events of your own belong in namespaces of your own: on `/` and `/chat` every event is
   * answered by roomcast.
   *
   * @example
   * app.roomcast.io.of("/game").on("connection", (socket) => socket.on("move", (to) => socket.emit("moved", to)));
   */
  readonly io: ApplicationServer;
  /** Everything that roomcast counts, a registry of prom-client to be served where the app sees fit. */
  readonly metrics: Registry;
  /** Whether the server is ready for more clients, and if not, why. */
  readonly health: Pick<Health, "complaint">;
  /**
   * Ends all connections before the app is closed: first `health` says so, for `drainDelayMs`; then no new session
   * may begin, and connections end over `drainTimeMs`, each after what was sent to it.
   */
  drain(): Promise<void>;
}

declare module "fastify" {
  interface FastifyInstance {
    roomcast: Roomcast;
  }
}

const cores = new WeakMap<Roomcast, Core>();

/** The core of an app, for gateways beside Socket.IO. */
export const coreOf = ({ roomcast }: FastifyInstance): Core => cores.get(roomcast) as Core;

/**
 * The Fastify plugin: the namespaces `/` and `/chat` with their rooms, over Socket.IO on the port of the app that
 * registers it. The app's own routes are left alone; roomcast uses the path `/socket.io/`, which is at the root
 * also where the plugin is registered with a prefix.
 *
 * @throws {SettingError} while the app gets ready, for an option that does not exist or is out of bounds
 */
export const roomcast = fastifyPlugin<RoomcastOptions>(
  async (app, { prefix, logLevel, logSerializers, ...options }: RoomcastOptions & RegisterOptions) =>
    serve(app, readOptions(options)),
  { name: "roomcast", fastify: "5.x" },
);

/** Serves the rooms on an app, with settings that have been read already. */
export async function serve(app: FastifyInstance, settings: RoomSettings): Promise<void> {
  const core = createCore(settings, app.log);
  const { io, drain } = await socketio(app, { ...settings, core });
  app.addHook("onListen", () => app.log.info(whoMayConnect(settings)));
  app.addHook("onClose", async () => closeCore(core));
  const { dispatchers, metrics, health } = core;
  const decoration: Roomcast = {
    io: io as unknown as ApplicationServer,
    metrics: metrics.registry,
    health,
    async drain() {
      health.leaving = true;
      await sleep(settings.drainDelayMs);
      health.closed = true;
      await Promise.all(dispatchers.map((dispatcher) => dispatcher.idle()));
      // The answers are sent in the turn after.
      await turn();
      await drain(settings.drainTimeMs);
    },
  };
  cores.set(decoration, core);
  app.decorate("roomcast", decoration);
}

function whoMayConnect({ authSecret, authJwks }: RoomSettings): string {
  if (authSecret !== undefined) return "tokens are required: signed with --auth-secret";
  if (authJwks !== undefined)
    return `tokens are required: signed with the keys of ${authJwks.replace(/\?.*/s, "")}`;
  return "no tokens are required: a userId is whatever a client says";
}
