import Fastify, { type FastifyInstance, type FastifyServerOptions, LogController } from "fastify";
import { fastifyPlugin } from "fastify-plugin";
import { type RoomSettings, readOptions } from "./config.ts";
import { http } from "./http/plugin.ts";
import { chat } from "./namespaces/chat.ts";
import { root } from "./namespaces/root.ts";
import { Rooms } from "./rooms/rooms.ts";
import { socketio } from "./socketio/plugin.ts";

export type { SocketIOServer } from "./socketio/server.ts";

/** The plugin's options; durations in milliseconds, sizes in bytes. Each has the default of the setting of its name. */
export type RoomcastOptions = Partial<RoomSettings>;

/**
 * The Fastify plugin: the namespaces `/` and `/chat` with their rooms, over Socket.IO on the port of the
 * app that registers it. The app's own routes are left alone; what it may not use is the path `/socket.io/`.
 *
 * @throws {SettingError} while the app gets ready, for an option that does not exist or is out of bounds
 */
export const roomcast = fastifyPlugin<RoomcastOptions>(
  async (app, options) => {
    const settings = readOptions(options);
    const namespaces = [root(new Rooms("/", settings.maxRooms)), chat(new Rooms("/chat", settings.maxRooms))];
    await app.register(socketio, { ...settings, namespaces });
  },
  { name: "roomcast", fastify: "5.x" },
);

/** The time that requests in flight have to end when the server closes. */
const longestCloseMs = 1_000;

/** The whole server, as the command runs it: the rooms, the page and its health. It does not listen yet. */
export async function build(
  options: RoomcastOptions,
  logger: FastifyServerOptions["logger"] = false,
): Promise<FastifyInstance> {
  const app = Fastify({ logger, logController: new LogController({ disableRequestLogging: true }) });
  app.addHook("preClose", async () => {
    // A browser keeps spare connections that are not idle for Node, and would hold up the end for a minute.
    const late = setTimeout(() => app.server.closeAllConnections(), longestCloseMs);
    app.server.once("close", () => clearTimeout(late));
  });
  await app.register(roomcast, options);
  await app.register(http);
  return app;
}
