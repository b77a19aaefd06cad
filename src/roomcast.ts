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
   * The Socket.IO server. Define your own events in your own namespaces: on `/` and `/chat`, roomcast answers
   * every event.
   *
   * @example
   * app.roomcast.io.of("/game").on("connection", (socket) => socket.on("move", (to) => socket.emit("moved", to)));
   */
  readonly io: ApplicationServer;
  /** The metrics, as a prom-client registry. The app decides where to serve them. */
  readonly metrics: Registry;
  /** `problem` is the reason why the server is not ready for more clients; undefined if it is ready. */
  readonly health: Pick<Health, "problem">;
  /**
   * Ends all connections; call it before closing the app. First `health` reports the shutdown for
   * `drainDelayMs`. Then the server refuses new sessions and ends the connections over `drainTimeMs`, each
   * after its queued messages have been sent.
   */
  drain(): Promise<void>;
}

declare module "fastify" {
  interface FastifyInstance {
    roomcast: Roomcast;
  }
}

const cores = new WeakMap<Roomcast, Core>();

/** The core of an app, for gateways other than Socket.IO. */
export const coreOf = ({ roomcast }: FastifyInstance): Core => cores.get(roomcast) as Core;

/**
 * The Fastify plugin. It serves the namespaces `/` and `/chat` over Socket.IO on the port of the app that
 * registers it. It only uses the path `/socket.io/`, at the root even if the plugin is registered with a
 * prefix, and leaves the app's own routes alone.
 *
 * @throws {SettingError} while the app gets ready, if an option does not exist or is out of bounds
 */
export const roomcast = fastifyPlugin<RoomcastOptions>(
  async (app, { prefix, logLevel, logSerializers, ...options }: RoomcastOptions & RegisterOptions) =>
    serve(app, readOptions(options)),
  { name: "roomcast", fastify: "5.x" },
);

/** Serves the rooms on an app, with validated settings. @param core created from the same settings */
export async function serve(
  app: FastifyInstance,
  settings: RoomSettings,
  core = createCore(settings, app.log),
): Promise<void> {
  await core.cluster?.open();
  const { io, drain } = await socketio(app, { ...settings, core });
  app.addHook("onListen", () => app.log.info(tokenPolicy(settings)));
  app.addHook("onClose", () => closeCore(core));
  const { attempts, metrics, health } = core;
  const decoration: Roomcast = {
    io: io as unknown as ApplicationServer,
    metrics: metrics.registry,
    health,
    async drain() {
      health.announceShutdown();
      await sleep(settings.drainDelayMs);
      health.refuseSessions();
      // No request may take longer, but new ones may follow for as long as clients are connected.
      const late = sleep(settings.handlerTimeoutMs, undefined, { ref: false });
      await Promise.race([attempts.idle(), late]);
      // The last answers are sent in the next turn of the event loop.
      await turn();
      await drain(settings.drainTimeMs);
    },
  };
  cores.set(decoration, core);
  app.decorate("roomcast", decoration);
}

/** The log line that states whether tokens are required. */
function tokenPolicy({ authSecret, authJwks }: RoomSettings): string {
  if (authSecret !== undefined) return "tokens are required: signed with --auth-secret";
  if (authJwks !== undefined)
    return `tokens are required: signed with the keys of ${authJwks.replace(/\?.*/s, "")}`;
  return "no tokens are required: clients choose their own userId";
}
