import { Server as StockEngine } from "engine.io";
import { Server, type Socket, type Namespace as SocketIONamespace } from "socket.io";
import { Encoder, PacketType } from "socket.io-parser";
import type { ConnectionData } from "../namespaces/namespace.ts";
import type { ServerEvents } from "../protocol.ts";
import type { Deliver } from "../rooms/rooms.ts";
import { OutboxAdapter } from "./adapter.ts";
import { FastDecoder } from "./decoder.ts";
import { encodeRes } from "./encode.ts";
import { Engine } from "./engine.ts";

/** What clients send is unknown until a namespace has checked it. */
type Heard = Record<string, (...args: unknown[]) => void>;
type Unheard = Record<never, never>;

/** The server as `app.io`: what it hears on `/` and `/chat` is answered by the namespaces and reaches no listener. */
export type SocketIOServer = Server<Heard, ServerEvents, Unheard, ConnectionData>;
export type SocketIOClient = Socket<Heard, ServerEvents, Unheard, ConnectionData>;
type Nsp = SocketIONamespace<Heard, ServerEvents, Unheard, ConnectionData>;

declare module "fastify" {
  interface FastifyInstance {
    /** The Socket.IO server that roomcast runs on. */
    io: SocketIOServer;
  }
}

/** Durations in milliseconds, sizes in bytes. */
export interface ServerOptions {
  pingIntervalMs: number;
  pingTimeoutMs: number;
  connectTimeoutMs: number;
  maxPayloadBytes: number;
  outboxMaxBytes: number;
}

/** A Socket.IO server, its engine, and how a message gets from a room to the members in a namespace of it. */
export interface Serving {
  io: SocketIOServer;
  engine: StockEngine;
  deliverTo(nsp: Nsp): Deliver;
}

const engineOptions = ({ pingIntervalMs, pingTimeoutMs, maxPayloadBytes }: ServerOptions) => ({
  allowEIO3: true,
  pingInterval: pingIntervalMs,
  pingTimeout: pingTimeoutMs,
  maxHttpBufferSize: maxPayloadBytes,
});

/**
 * Socket.IO with the write path of ours.
 *
 * @param onSlowConsumer hears of each connection that is ended because its client does not read
 */
export function fast(options: ServerOptions, onSlowConsumer: () => void): Serving {
  const engine = new Engine(engineOptions(options), { maxBytes: options.outboxMaxBytes, onSlowConsumer });
  const io: SocketIOServer = new Server({
    adapter: OutboxAdapter,
    parser: { Encoder, Decoder: FastDecoder },
    connectTimeout: options.connectTimeoutMs,
  });
  io.bind(engine);
  return { io, engine, deliverTo: fastDelivery };
}

function fastDelivery(nsp: Nsp): Deliver {
  const prefix = `${PacketType.EVENT}${nsp.name === "/" ? "" : `${nsp.name},`}`;
  return (key, message) => {
    const { adapter } = nsp;
    // An application may have put in an adapter of its own.
    if (!(adapter instanceof OutboxAdapter)) return void nsp.to(key).emit("res", message);
    adapter.send(key, prefix + encodeRes(message), { type: PacketType.EVENT, data: ["res", message] });
  };
}

/** Socket.IO as it comes, which the tests run beside ours. It bounds no backlog. */
export function stock(options: ServerOptions): Serving {
  const engine = new StockEngine(engineOptions(options));
  const io: SocketIOServer = new Server({ connectTimeout: options.connectTimeoutMs });
  io.bind(engine);
  return { io, engine, deliverTo: (nsp) => (key, message) => void nsp.to(key).emit("res", message) };
}
