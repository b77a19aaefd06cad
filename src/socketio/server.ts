import { type DefaultEventsMap, type Namespace, Server, type Socket } from "socket.io";
import { Encoder } from "socket.io-parser";
import { Engine, type EngineBounds } from "../engineio/engine.ts";
import { withRequest } from "../engineio/request.ts";
import { type Session, sessionOf } from "../engineio/session.ts";
import type { DisconnectReason } from "../errors.ts";
import { burstBytes } from "../limits/byte-rate.ts";
import type { ServerEvents } from "../protocol.ts";
import { FastAdapter } from "./adapter.ts";
import { decoderFor } from "./decoder.ts";
import type { NamespaceInternals, ServerInternals } from "./internals.ts";
import { longestEventChars, longestHandshakeChars } from "./packet-sizes.ts";

/** Arguments are unknown until a dispatcher has validated them. */
type ClientEvents = Record<string, (...args: unknown[]) => void>;

/** The Socket.IO server, as roomcast uses it. */
export type SocketIOServer = Server<ClientEvents, ServerEvents>;

/**
 * `socket.data` on an application's own namespaces: the claims of the client's token, if a token was
 * required.
 */
export interface SocketData {
  userId?: string;
  /** The rooms that it may join on `/` and `/chat`. Undefined allows all rooms. */
  rooms?: readonly string[];
  /** Milliseconds since the Unix epoch; undefined if the token does not expire. */
  expiresAt?: number;
}

/** The Socket.IO server, as an application uses it for its own namespaces and events. */
export type ApplicationServer = Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, SocketData>;
/** A Socket.IO client on a namespace. */
export type SocketIOClient = Socket<ClientEvents, ServerEvents>;
/** A Socket.IO namespace. */
export type SocketIONamespace = Namespace<ClientEvents, ServerEvents>;

/** The options of {@link createServer}. Durations are in milliseconds, sizes in bytes. */
export interface ServerOptions extends Omit<EngineBounds, "burstBytes"> {
  pingIntervalMs: number;
  pingTimeoutMs: number;
  handshakeTimeoutMs: number;
  maxTextChars: number;
  /** Rooms that a handshake may name. */
  maxRooms: number;
  /** roomcast's own namespaces, whose events are limited in size. All others belong to the application. */
  namespaces?: readonly { name: string }[];
  /** The name of this node, which clients are told; undefined if the rooms are on no other node. */
  nodeId?: (() => string) | undefined;
}

/** The time limit of an upgrade to WebSocket. */
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
  // Compressing an answer takes about 270 kB that no bound counts. A proxy can compress instead.
  httpCompression: false,
});

/**
 * Creates a Socket.IO server on roomcast's engine.
 *
 * @param onClose receives the reason of each session that the server ends
 */
export function createServer(
  options: ServerOptions,
  onClose: (reason: DisconnectReason) => void,
): { io: SocketIOServer; engine: Engine } {
  const bounds = { ...options, burstBytes: burstBytes(options) };
  const engine = new Engine(engineOptions(options), bounds, onClose, options.nodeId);
  const builtin = new Set(options.namespaces?.map(({ name }) => name));
  const decoderBounds = {
    maxPayloadBytes: options.maxPayloadBytes,
    maxHandshakeChars: longestHandshakeChars(options.maxRooms),
    maxEventChars: longestEventChars(options.maxTextChars),
    isApplications: (name: string) => !builtin.has(name) && (io as ServerInternals)._nsps.has(name),
  };
  let opening: Session | undefined;
  const io: SocketIOServer = new Server({
    adapter: FastAdapter,
    parser: { Encoder, Decoder: decoderFor(decoderBounds, () => opening) },
    connectTimeout: options.handshakeTimeoutMs,
  });
  keepHandshakes(io.sockets);
  io.on("new_namespace", keepHandshakes);
  // Socket.IO creates the decoder of a connection without arguments, in its own listener, which runs next.
  engine.on("connection", (connection) => {
    opening = sessionOf(connection);
  });
  io.bind(engine);
  return { io, engine };
}

/**
 * Gives each namespace the client's original handshake, even if the request has been released. Socket.IO creates
 * namespaces itself, so a method of each one is replaced.
 */
function keepHandshakes(nsp: unknown): void {
  const namespace = nsp as NamespaceInternals;
  const { _add: add } = namespace;
  namespace._add = (client, ...rest) => withRequest(client.conn, () => add.call(namespace, client, ...rest));
}
