import Fastify, { type FastifyInstance } from "fastify";
import { Server } from "socket.io";
import { readOptions } from "../../src/config/read.ts";
import { closeCore, createCore } from "../../src/core.ts";
import type { ClientSession } from "../../src/namespaces/member.ts";
import type { Roomcast, RoomcastOptions } from "../../src/roomcast.ts";
import { SocketIOGateway } from "../../src/socketio/gateway.ts";
import type { SocketIOClient, SocketIOServer } from "../../src/socketio/server.ts";

/**
 * Builds the rooms on stock Socket.IO, with its own engine and adapter and without limits on connections.
 *
 * @param Gateway delivers messages; by default roomcast's, through the stock transports
 */
export async function buildOnStock(
  options: RoomcastOptions,
  Gateway = SocketIOGateway,
): Promise<FastifyInstance> {
  const app = Fastify() as FastifyInstance;
  const settings = readOptions(options);
  const core = createCore(settings, app.log);
  const io: SocketIOServer = new Server(app.server, {
    allowEIO3: true,
    connectTimeout: settings.handshakeTimeoutMs,
    pingInterval: settings.pingIntervalMs,
    pingTimeout: settings.pingTimeoutMs,
    maxHttpBufferSize: settings.maxPayloadBytes,
  });
  const sessions = new WeakMap<object, ClientSession>();
  const sessionOf = ({ conn }: SocketIOClient): ClientSession => {
    const session = sessions.get(conn) ?? {
      address: "127.0.0.1",
      bucket: undefined,
      handshakes: 0,
      close: () => conn.close(),
    };
    sessions.set(conn, session);
    return session;
  };
  const empty = { left() {}, refused() {} };
  for (const dispatcher of core.dispatchers) {
    const nsp = io.of(dispatcher.namespace.name);
    new Gateway(nsp, dispatcher, {
      sessionOf,
      isShuttingDown: () => core.health.refusesSessions,
      onFault: (error) => app.log.error(error),
      empty,
    });
  }
  app.addHook("preClose", async () => {
    core.health.refuseSessions();
    await io.close();
  });
  app.addHook("onClose", async () => closeCore(core));
  return Object.assign(app, { roomcast: { io } as Roomcast });
}
