import { Server as StockEngine } from "engine.io";
import { Server, type Socket, type Namespace as SocketIONamespace } from "socket.io";
import { Encoder, PacketType } from "socket.io-parser";
import type { Ending } from "../errors.ts";
import { burstBytes, longestEventChars, longestHandshakeChars } from "../limits.ts";
import type { ConnectionData } from "../namespaces/connection.ts";
import type { ServerEvents } from "../protocol.ts";
import type { Deliver, OwnCopy } from "../rooms/rooms.ts";
import { OutboxAdapter } from "./adapter.ts";
import { decoderFor } from "./decoder.ts";
import { encodeRes } from "./encode.ts";
import { Engine, type EngineBounds, type EngineSocket, end, type Traffic } from "./engine.ts";
import type { NamespaceInternals } from "./internals.ts";
import { withRequest } from "./request.ts";

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
export interface ServerOptions extends Omit<EngineBounds, "burstBytes"> {
  pingIntervalMs: number;
  pingTimeoutMs: number;
  handshakeTimeoutMs: number;
  maxTextChars: number;
  /** Rooms that a handshake may name. */
  maxRooms: number;
  /** Those whose events are no larger than their texts may be; on others an application decides. */
  namespaces?: readonly { name: string }[];
}

/** A Socket.IO server, its engine, and what the rest of the edge needs of the two. */
export interface Serving {
  io: SocketIOServer;
  engine: StockEngine;
  /** How a message gets from a room to the members in a namespace. */
  deliverTo(nsp: Nsp): Deliver;
  /** Ends a client's connection, in a way that it comes back from. */
  end(socket: SocketIOClient, reason: Ending): void;
  /** Has each session that closes told to a listener, with Engine.IO's reason. */
  onSessionClose(listener: (session: object, reason: string) => void): void;
  /** What was moved since the start. */
  traffic(): Traffic;
  /** What was sent and not taken, in bytes: of all, and of the worst. */
  outboxes(): { total: number; worst: number };
  /** What was received in part, in bytes. */
  inboundBytes(): number;
}

/** The longest that an upgrade to a WebSocket may take. */
const longestUpgradeMs = 5_000;

const engineOptions = ({
  pingIntervalMs,
  pingTimeoutMs,
  handshakeTimeoutMs,
  maxPayloadBytes,
}: ServerOptions) => ({
  allowEIO3: true,
  upgradeTimeout: Math.min(longestUpgradeMs, handshakeTimeoutMs),
  pingInterval: pingIntervalMs,
  pingTimeout: pingTimeoutMs,
  maxHttpBufferSize: maxPayloadBytes,
  // Each answer that is compressed takes some 270 kB outside every bound; a proxy may compress.
  httpCompression: false,
});

/**
 * Socket.IO with the write path of ours.
 *
 * @param onEnding hears why, of each session that the server ends
 */
export function fast(options: ServerOptions, onEnding: (reason: Ending) => void): Serving {
  const bounds = { ...options, burstBytes: burstBytes(options) };
  const engine = new Engine(engineOptions(options), bounds, onEnding);
  const own = new Set(options.namespaces?.map(({ name }) => name));
  const applications = new Set(own.has("/") ? [] : ["/"]);
  const decoderBounds = {
    maxPayloadBytes: options.maxPayloadBytes,
    maxHeadChars: longestHandshakeChars(options.maxRooms),
    maxEventChars: longestEventChars(options.maxTextChars),
    isApplications: (namespace: string) => applications.has(namespace),
  };
  const io: SocketIOServer = new Server({
    adapter: OutboxAdapter,
    parser: { Encoder, Decoder: decoderFor(decoderBounds, () => engine.newest) },
    connectTimeout: options.handshakeTimeoutMs,
  });
  io.on("new_namespace", ({ name }) => {
    if (!own.has(name)) applications.add(name);
  });
  keepHandshakes(io.sockets);
  io.on("new_namespace", keepHandshakes);
  io.bind(engine);
  return {
    io,
    engine,
    deliverTo: fastDelivery,
    end: ({ conn }, reason) => end(conn as never as EngineSocket, reason),
    onSessionClose: (listener) => {
      engine.onClose = listener;
    },
    traffic: () => engine.traffic,
    outboxes: () => engine.backlog.bytes,
    inboundBytes: () => engine.inbound.bytes,
  };
}

/** Lets clients enter a namespace with the handshake that they sent, whatever became of the request. */
function keepHandshakes(nsp: unknown): void {
  const namespace = nsp as NamespaceInternals;
  const { _add: add } = namespace;
  namespace._add = (client, ...rest) => withRequest(client.conn, () => add.call(namespace, client, ...rest));
}

function fastDelivery(nsp: Nsp): Deliver {
  const prefix = `${PacketType.EVENT}${nsp.name === "/" ? "" : `${nsp.name},`}`;
  const stock = stockDelivery(nsp);
  return (key, message, own) => {
    const { adapter } = nsp;
    // An application may have put in an adapter of its own.
    if (!(adapter instanceof OutboxAdapter)) return stock(key, message, own);
    const packet = { type: PacketType.EVENT, data: ["res", message] };
    adapter.send(key, prefix + encodeRes(message), packet, own && socketOf(own));
    if (own) socketOf(own).emit("res", own.message);
  };
}

function stockDelivery(nsp: Nsp): Deliver {
  return (key, message, own) => {
    if (!own) return void nsp.to(key).emit("res", message);
    nsp.to(key).except(socketOf(own).id).emit("res", message);
    socketOf(own).emit("res", own.message);
  };
}

/** Every member of a room that this gateway serves is a socket. */
const socketOf = ({ member }: OwnCopy) => member as SocketIOClient;

/** Socket.IO as it comes, which the tests run beside ours. It bounds no backlog and counts nothing. */
export function stock(options: ServerOptions): Serving {
  const engine = new StockEngine(engineOptions(options));
  const io: SocketIOServer = new Server({ connectTimeout: options.handshakeTimeoutMs });
  io.bind(engine);
  return {
    io,
    engine,
    deliverTo: stockDelivery,
    end: ({ conn }) => conn.close(),
    onSessionClose: (listener) =>
      void engine.on("connection", (session) =>
        session.on("close", (reason: string) => listener(session, reason)),
      ),
    traffic: () => ({ bytesIn: 0, bytesOut: 0 }),
    outboxes: () => ({ total: 0, worst: 0 }),
    inboundBytes: () => 0,
  };
}
