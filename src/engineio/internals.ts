/**
 * Every engine.io field that roomcast uses and that is not part of engine.io's public types. All other
 * internals of engine.io, and all private fields of Node's classes, are off limits.
 *
 * `test/internals.test.ts` has an entry for each field and names the field when a new version no longer has
 * it.
 */

import type { EventEmitter } from "node:events";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Socket as EngineIOSocket, type Server, type Transport, transports } from "engine.io";
import type { WebSocket } from "ws";

/** Node's request, plus the fields that Engine.IO adds to it. */
export type EngineRequest = ConstructorParameters<typeof Transport>[0] &
  Parameters<Server["createTransport"]>[1] & {
    /** The parsed query. If set, Engine.IO uses it instead of the URL, so that it agrees with the admission. */
    _query: Record<string, string>;
    /** Set once the WebSocket handshake is complete; Engine.IO creates the transport from it. */
    websocket?: WebSocket;
  };

/** The fields of engine.io's Socket that the engine uses or overrides. */
export type SocketInternals = Pick<
  EngineIOSocket,
  "readyState" | "upgrading" | "close" | "once" | "off" | "protocol"
> & {
  readonly id: string;
  /** Replaced by a smaller object, because it is kept as long as the connection. */
  request: EngineRequest;
  /** Checked to decide whether a frame may go straight into the send queue. */
  transport: Transport;
  /** Packets that wait to be flushed. A frame must not overtake them. */
  writeBuffer: unknown[];
  /** One function per transport; trimmed to its length, which saves 140 bytes per connection. */
  cleanupFn: unknown[];
  /** Callbacks of packets that were sent; trimmed to its length, which saves 140 bytes per connection. */
  sentCallbackFn: unknown[];
  /** Overridden so that packets sent by an application also go through the send queue. */
  sendPacket(
    type: string,
    data?: string | ArrayBuffer | ArrayBufferView,
    options?: SendOptions | (() => void),
    callback?: () => void,
  ): void;
  /** Engine.IO 4: runs while the client owes a pong. Engine.IO 3: always runs. */
  pingTimeoutTimer: NodeJS.Timeout | null;
  /** Closes the session with one of roomcast's reasons. */
  onClose(reason: string): void;
};

/** Options of a packet that is sent. */
export interface SendOptions {
  /** The frame, if already encoded: Socket.IO's adapter encodes a broadcast once for a whole room. */
  wsPreEncodedFrame?: Buffer[];
}

/** engine.io's Socket with its private members, which a subclass overrides. */
export const StockSocket = EngineIOSocket as unknown as new (
  id: string,
  server: object,
  transport: Transport,
  request: EngineRequest,
  protocol: number,
) => SocketInternals & EventEmitter;

/** All sessions of engine.io's Server by id, for closing them one by one and for finding a transport's. */
export function clientsOf(engine: object): Record<string, EngineIOSocket> {
  return (engine as { clients: Record<string, EngineIOSocket> }).clients;
}

/** Removes a closed session from engine.io's Server, as the Server's own "close" listener does. */
export function forgetSession(engine: object, id: string): void {
  delete clientsOf(engine)[id];
  (engine as Server).clientsCount--;
}

/** A packet as engine.io's Socket passes it to its transport. */
export type TransportPacket = Parameters<Transport["send"]>[0][number] & {
  options?: SendOptions;
};

/** engine.io's codec for Engine.IO 3 payloads. */
export interface PayloadCodec {
  encodePayload(packets: unknown[], supportsBinary: boolean, done: (payload: unknown) => void): void;
  encodePayloadAsBinary(packets: unknown[], done: (payload: unknown) => void): void;
  /** Replaced: stock Engine.IO takes 0.3 s to decode 1 MB. */
  decodePayload(payload: string | Buffer, take: (packet: object) => unknown): unknown;
  decodePacket(packet: string | Buffer, binaryType: undefined, utf8decode: boolean): object;
}

/** A packet as a transport passes it to engine.io's Socket. */
export interface InboundPacket {
  type: string;
  data?: unknown;
}

/** The fields of engine.io's Polling transport that the engine uses or overrides. */
export interface PollingInternals {
  /** The payload codec; replaced for Engine.IO 3 and for JSONP. */
  parser: PayloadCodec;
  readonly writable: boolean;
  readonly readyState: string;
  readonly protocol: number;
  /** The response to the pending poll. */
  readonly res: ServerResponse;
  /** The POST that is being read, and its response. */
  dataReq: IncomingMessage | null;
  dataRes: ServerResponse | null;
  maxHttpBufferSize: number;
  httpCompression: unknown;
  /** How long a closed session waits for one more poll, in milliseconds; shortened. */
  closeTimeout: number;
  headers(request: IncomingMessage, headers: object): OutgoingHttpHeaders;
  /** Overridden: reads a POST into one buffer. */
  onDataRequest(request: IncomingMessage, response: ServerResponse): void;
  /** Overridden: splits a large backlog over several responses. */
  send(packets: TransportPacket[]): void;
  /** Overridden: waits until the client has taken the response. */
  doWrite(data: string | Buffer, options: object, done: () => void): void;
  onData(data: string | Buffer): void;
  /** Overridden: queues a packet behind earlier ones. */
  onPacket(packet: InboundPacket): void;
  /** Overridden: waits until earlier packets are handled. */
  onClose(): void;
  onError(message: string): void;
  discard(): void;
}

/** A class of polling transports. */
export type PollingConstructor = new (request: EngineRequest) => PollingInternals;

/** The class of the transport that engine.io creates for a query. Its package does not export the classes. */
function pollingClassFor(query: Record<string, string>): PollingConstructor {
  return transports.polling({ _query: query } as EngineRequest).constructor as PollingConstructor;
}

/** engine.io's own polling transports: with plain requests, and with scripts that the page loads. */
export const StockPolling = pollingClassFor({});
export const StockJsonp = pollingClassFor({ j: "0" });

/** Frees the spare capacity of arrays: after a push, V8 keeps room for sixteen more elements. */
export function trim<Name extends string>(owner: Record<Name, unknown[]>, ...names: Name[]): void {
  for (const name of names) owner[name] = owner[name].slice() as never;
}
