import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type ServerOptions, type Socket } from "socket.io";

/*
 * Applications on stock Socket.IO without any code of roomcast's.
 */

async function listen(
  options: Partial<ServerOptions>,
  onConnection: (io: Server, socket: Socket) => void,
): Promise<number> {
  const http = createServer();
  const io = new Server(http, options);
  io.on("connection", (socket) => onConnection(io, socket));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  return (http.address() as AddressInfo).port;
}

/** Stock Socket.IO with its own recovery, and no more of an application than the storm needs. */
export const recovery = (): Promise<number> =>
  listen({ connectionStateRecovery: {} }, (io, socket) => {
    if (!socket.recovered) void socket.join("lobby");
    socket.on("chat", (text) => io.to("lobby").emit("res", { type: "chat", text }));
  });
