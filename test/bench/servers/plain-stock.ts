import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createAdapter as createStreamsAdapter } from "@socket.io/redis-streams-adapter";
import { Redis } from "ioredis";
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

let count = 0;

/** Joins the rooms of the handshake, and sends each `chat` to them with the fields of roomcast's messages. */
function serveRooms(io: Server, socket: Socket): void {
  const { room: names = [], userId } = socket.handshake.query;
  const rooms = [names].flat();
  void socket.join(rooms);
  socket.on("chat", (text, acknowledge) => {
    const id = `${++count}`.padStart(23, "0");
    const message = { id, type: "chat", userId, text, state: "normal", namespace: "/" };
    for (const room of rooms) io.to(room).emit("res", { ...message, room, rooms, at: Date.now() });
    acknowledge?.({ id, rooms });
  });
}

type Adapter = NonNullable<ServerOptions["adapter"]>;

const withAdapter =
  (create: (redis: Redis) => Adapter) =>
  (redis = ""): Promise<number> =>
    listen({ adapter: create(new Redis(redis)) }, serveRooms);

/** One node of several on the official Redis adapter: each message is published to every node. */
export const redisAdapter = withAdapter((redis) => createAdapter(redis, redis.duplicate()));

/** One node of several on the official adapter for sharded Pub/Sub: a channel per room. */
export const shardedAdapter = withAdapter((redis) => createShardedAdapter(redis, redis.duplicate()));

/** One node of several on the official adapter for Redis streams: one stream that every node reads. */
export const streamsAdapter = withAdapter((redis) => createStreamsAdapter(redis));
