import { type DefaultEventsMap, type Namespace, Server, type Socket } from "socket.io";
import { Encoder } from "socket.io-parser";
import { Engine, type EngineBounds } from "../engineio/engine.ts";
import { withRequest } from "../engineio/request.ts";
import type { DisconnectReason } from "../errors.ts";
import { burstBytes, longestEventChars, longestHandshakeChars } from "../limits/numbers.ts";
import type { ServerEvents } from "../protocol.ts";
import { FastAdapter } from "./adapter.ts";
import { decoderFor } from "./decoder.ts";
import type { NamespaceInternals } from "./internals.ts";

/** What clients send is unknown until a dispatcher has validated it. */
type ClientEvents = Record<string, (...args: unknown[]) => void>;

export type SocketIOServer = Server<ClientEvents, ServerEvents>;

/** What is known of a client in a namespace of the application: what its token says, where it had to present one. */
export interface SocketData {
  userId?: string;
  /** The rooms that it may be in on `/` and `/chat`; all of them where undefined. */
  rooms?: readonly string[];
  /** Milliseconds since the epoch. */
  expiresAt?: number;
}

/** The server as an application has it, with events of its own in namespaces of its own. */
export type ApplicationServer = Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, SocketData>;
export type SocketIOClient = Socket<ClientEvents, ServerEvents>;
export type SocketIONamespace = Namespace<ClientEvents, ServerEvents>;

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
 * Socket.IO on our engine.
 *
 * @param onClose receives the reason of each session that the server ends
 */
export function createServer(
  options: ServerOptions,
  onClose: (reason: DisconnectReason) => void,
): { io: SocketIOServer; engine: Engine } {
  const bounds = { ...options, burstBytes: burstBytes(options) };
  const engine = new Engine(engineOptions(options), bounds, onClose);
  const own = new Set(options.namespaces?.map(({ name }) => name));
  const applications = new Set(own.has("/") ? [] : ["/"]);
  const decoderBounds = {
    maxPayloadBytes: options.maxPayloadBytes,
    maxHeadChars: longestHandshakeChars(options.maxRooms),
    maxEventChars: longestEventChars(options.maxTextChars),
    isApplications: (namespace: string) => applications.has(namespace),
  };
  const io: SocketIOServer = new Server({
    adapter: FastAdapter,
    parser: { Encoder, Decoder: decoderFor(decoderBounds, () => engine.newest) },
    connectTimeout: options.handshakeTimeoutMs,
  });
  io.on("new_namespace", ({ name }) => {
    if (!own.has(name)) applications.add(name);
  });
  keepHandshakes(io.sockets);
  io.on("new_namespace", keepHandshakes);
  io.bind(engine);
  return { io, engine };
}

/** Lets clients enter a namespace with the handshake that they sent, whatever became of the request. */
function keepHandshakes(nsp: unknown): void {
  const namespace = nsp as NamespaceInternals;
  const { _add: add } = namespace;
  namespace._add = (client, ...rest) => withRequest(client.conn, () => add.call(namespace, client, ...rest));
}
