import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { type WebSocket, WebSocketServer } from "ws";
import type { Message } from "../../src/protocol.ts";
import type { Envelope } from "../../src/rooms/envelope.ts";
import { SocketIOGateway } from "../../src/socketio/gateway.ts";
import type { SocketIONamespace } from "../../src/socketio/server.ts";
import { buildOnStock } from "../support/stock.ts";

/*
 * One measured server in its own process: `server.ts roomcast | stock | ws WORKLOAD`. It reports its port to the
 * parent process and, on request, the resources that it has used.
 */

const host = "127.0.0.1";
const dist = (file: string) => import(new URL(`../../dist/${file}`, import.meta.url).href);

const most = 1_000_000;
const unlimited = {
  maxConnections: 20_000,
  maxConnectionsPerAddress: most,
  eventsPerSecond: most,
  eventsBurst: most,
  bytesPerSecond: 1_000 * most,
};

/** roomcast as it ships, except that the limits per address and per connection are lifted. */
async function roomcast(): Promise<number> {
  const [{ build }, { readOptions }] = await Promise.all([dist("app.js"), dist("config/read.js")]);
  const app = await build(readOptions(unlimited));
  await app.listen({ port: 0, host });
  return app.server.address().port;
}

/** Delivers as an application on stock Socket.IO would: its sockets join Socket.IO's rooms. */
class StockGateway extends SocketIOGateway {
  readonly #nsp: SocketIONamespace;

  constructor(...args: ConstructorParameters<typeof SocketIOGateway>) {
    super(...args);
    [this.#nsp] = args;
    this.#nsp.use((socket, next) => {
      void socket.join(`room:${socket.handshake.query.room}`);
      next();
    });
  }

  override deliver(_members: unknown, { payload }: Envelope): void {
    this.#nsp.to(`room:${payload.room}`).emit("res", payload as Message);
  }
}

/** Stock Socket.IO on its own engine, with roomcast's handlers. */
async function stock(): Promise<number> {
  const app = await buildOnStock(unlimited, StockGateway);
  await app.listen({ port: 0, host });
  return (app.server.address() as AddressInfo).port;
}

/** Stock Socket.IO with its own recovery, and no more of an application than the storm needs. */
async function stockRecovery(): Promise<number> {
  const http = createServer();
  const io = new Server(http, { connectionStateRecovery: {} });
  io.on("connection", (socket) => {
    if (!socket.recovered) void socket.join("lobby");
    socket.on("chat", (text) => io.to("lobby").emit("res", { type: "chat", text }));
  });
  http.listen(0, host);
  await once(http, "listening");
  return (http.address() as AddressInfo).port;
}

/** The least work that Node can do: only `ws`, one write per connection and turn, and no checks. */
async function ws(): Promise<number> {
  const server = new WebSocketServer({ port: 0, host, perMessageDeflate: false });
  const rooms = new Map<string, Set<WebSocket>>();
  const outboxes = new Map<WebSocket, Buffer[]>();
  const frame = (text: string) => {
    const payload = Buffer.from(text);
    const { length } = payload;
    const header = length < 126 ? [0x81, length] : [0x81, 126, length >> 8, length & 0xff];
    return Buffer.concat([Buffer.from(header), payload]);
  };
  let count = 0;
  const push = (socket: WebSocket, data: Buffer) => {
    if (outboxes.size === 0) setImmediate(flush);
    const outbox = outboxes.get(socket);
    if (outbox) outbox.push(data);
    else outboxes.set(socket, [data]);
  };
  const flush = () => {
    let last: Buffer[] = [];
    let joined = Buffer.alloc(0);
    for (const [socket, frames] of outboxes) {
      const same = frames.length === last.length && frames.every((one, index) => one === last[index]);
      if (!same) [last, joined] = [frames, Buffer.concat(frames)];
      (socket as never as { _socket: { write(data: Buffer): void } })._socket.write(joined);
    }
    outboxes.clear();
  };
  server.on("connection", (socket, request) => {
    const query = new URL(request.url ?? "", "http://localhost").searchParams;
    const [room, userId] = [query.get("room") ?? "", query.get("userId") ?? ""];
    const members = rooms.get(room) ?? new Set();
    rooms.set(room, members.add(socket));
    push(socket, frame(`0{"sid":"${++count}","upgrades":[],"pingInterval":25000,"pingTimeout":20000}`));
    socket.on("close", () => members.delete(socket));
    socket.on("error", () => {});
    socket.on("message", (data) => {
      const text = String(data);
      if (text === "40") return push(socket, frame(`40{"sid":"${count}"}`));
      const start = text.indexOf("[");
      if (start < 0) return;
      const [, said] = JSON.parse(text.slice(start));
      const message = { id: `${++count}`.padStart(23, "0"), userId, text: `<= ${said}`, state: "normal" };
      const rest = { namespace: "/", room, rooms: [room], at: Date.now() };
      const shared = frame(`42${JSON.stringify(["res", { ...message, ...rest }])}`);
      for (const member of members) push(member, shared);
      const ack = [{ id: message.id, rooms: [room], recipients: members.size }];
      if (start > 2) push(socket, frame(`43${text.slice(2, start)}${JSON.stringify(ack)}`));
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

const servers: Record<string, () => Promise<number>> = { roomcast, stock, ws, "stock storm": stockRecovery };
const [, , server = "", workload = ""] = process.argv;
const start = servers[`${server} ${workload}`] ?? servers[server];

process.on("message", () => {
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { heapUsed, external, rss } = process.memoryUsage();
  process.send?.({ cpuMs: (user + system) / 1_000, heapBytes: heapUsed + external, rssBytes: rss });
});
process.on("disconnect", () => process.exit());
process.send?.({ port: await start?.() });
