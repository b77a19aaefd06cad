import { IncomingMessage } from "node:http";
import { Socket as TcpSocket } from "node:net";
import { parse } from "node:querystring";
import { Server, type ServerOptions, Socket, type Transport } from "engine.io";
import { answerInBinary, wantsBinaryPayloads } from "./eio3.ts";
import { type Data, frame } from "./frame.ts";
import { OutboxTransport, type TransportRequest } from "./outbox.ts";

/** Engine.IO's socket, and what of it is not public. */
export type EngineSocket = Pick<Socket, "readyState" | "close"> & {
  request: TransportRequest;
  transport: Transport;
  server: Engine;
  writeBuffer: unknown[];
  sendPacket: typeof sendPacket;
  on: typeof on;
  addListener: typeof on;
  /** An application listens for what Engine.IO tells of each packet. */
  observed: boolean;
  /** What waits in `writeBuffer`, in characters and bytes. */
  waiting?: number;
};

interface WriteOptions {
  wsPreEncodedFrame?: Buffer[];
}

interface OutboxOptions {
  /** A connection for which more than this waits is ended, in characters and bytes. */
  maxBytes: number;
  /** Hears of each connection that is ended so. */
  onSlowConsumer: () => void;
}

/** Engine.IO's server with an outbox for each WebSocket, and what old clients need beyond it. */
export class Engine extends Server {
  readonly outbox: OutboxOptions;
  /** An application listens on the server for what Engine.IO tells of each packet. */
  observed = false;

  constructor(options: ServerOptions, outbox: OutboxOptions) {
    super(options);
    this.outbox = outbox;
    this.on("connection", (socket: EngineSocket) => {
      trim(socket, "cleanupFn", "sentCallbackFn");
      socket.sendPacket = sendPacket;
      socket.on = on;
      socket.addListener = on;
      socket.observed = false;
      // After the listeners of the application, which may read the whole request, or put something on it.
      if (socket.request.websocket) setImmediate(slim, socket);
    });
    this.on("newListener", (event) => {
      if (observing.has(event)) this.observed = true;
    });
  }

  /** A WebSocket's query is read by the quicker of Node's two parsers; Engine.IO takes what it finds. */
  override handleUpgrade(...[request, socket, head]: Parameters<Server["handleUpgrade"]>): void {
    (request as TransportRequest)._query = queryOf(request.url);
    super.handleUpgrade(request, socket, head);
  }

  override createTransport(name: "polling" | "websocket", request: TransportRequest): Transport {
    // With compression, or without the socket under the WebSocket, the stock transport is the one to use.
    if (name === "websocket" && !this.opts.perMessageDeflate && request.websocket?._socket) {
      return new OutboxTransport(request);
    }
    const transport = super.createTransport(name, request);
    if (name === "polling" && wantsBinaryPayloads(request._query)) answerInBinary(transport);
    return transport;
  }
}

/**
 * The outbox of a connection, for a frame to be put into it past Engine.IO's bookkeeping of packets.
 *
 * @returns undefined where that is not safe: the packet must then go through Engine.IO
 */
export function outboxOf(socket: EngineSocket): OutboxTransport | undefined {
  const { transport } = socket;
  if (!(transport instanceof OutboxTransport) || !transport.writable) return undefined;
  if (socket.readyState !== "open" || socket.writeBuffer.length > 0) return undefined;
  return socket.observed || socket.server.observed ? undefined : transport;
}

/** The query of a URL; of a key that is repeated the last value, as Engine.IO has it. */
function queryOf(url = ""): Record<string, string> {
  const query = { ...parse(url.slice(url.indexOf("?") + 1), "&", "=", { maxKeys: 0 }) };
  for (const key in query) {
    const value = query[key];
    if (Array.isArray(value)) query[key] = value.at(-1);
  }
  return query as Record<string, string>;
}

/** Gives back what arrays hold in reserve: one that was pushed to keeps room for sixteen more. */
export function trim(owner: object, ...names: string[]): void {
  const arrays = owner as Record<string, unknown[]>;
  for (const name of names) arrays[name] = arrays[name]?.slice() ?? [];
}

/**
 * Keeps of a request what is read of it once its connection is made. The rest, some kilobytes of parser and
 * stream, would be kept as long as the connection. A request that an application has put something on is kept.
 */
function slim(socket: EngineSocket): void {
  const { request } = socket;
  if (Object.keys(request).some((key) => !ordinary.has(key))) return;
  const { headers, url, _query, socket: client } = request;
  const essence = { headers, url, _query, socket: client, client, connection: client };
  socket.request = essence as unknown as TransportRequest;
}

/** What every request has, and what Node's server and Engine.IO put on it. */
const ordinary = new Set([
  ...Object.keys(new IncomingMessage(new TcpSocket())),
  ...["parser", "_query", "websocket"],
]);

/** What an application may listen for to be told of each packet; where it does, each goes through Engine.IO. */
const observing = new Set<string | symbol>(["packetCreate", "flush", "drain"]);

const stockOn = Socket.prototype.on;

/** Notes whether an application listens for what Engine.IO tells of each packet: asking at each is too dear. */
function on(this: EngineSocket, event: string | symbol, listener: () => void): EngineSocket {
  if (observing.has(event)) this.observed = true;
  return stockOn.call(this as never, event, listener) as never;
}

const stockSendPacket = Reflect.get(Socket.prototype, "sendPacket") as (
  this: EngineSocket,
  ...args: unknown[]
) => void;

/** What a packet that waits costs beside its data, in bytes. */
const packetBytes = 64;

/** Engine.IO's `sendPacket`, by the outbox where that is safe, and bounded where it is not. */
function sendPacket(
  this: EngineSocket,
  type: string,
  data?: Data,
  options?: WriteOptions | (() => void),
  callback?: () => void,
): void {
  if (type === "message" && typeof data === "string" && !callback && typeof options !== "function") {
    const outbox = outboxOf(this);
    if (outbox) {
      outbox.push(...(options?.wsPreEncodedFrame ?? [frame(`4${data}`)]));
      return;
    }
  }
  // What comes first is let through whatever its size; what comes behind it is waiting for who does not read.
  const first = this.writeBuffer.length === 0;
  const size = packetBytes + (typeof data === "string" ? data.length : (data?.byteLength ?? 0));
  this.waiting = first ? size : (this.waiting ?? 0) + size;
  if (!first && this.waiting > this.server.outbox.maxBytes && this.readyState === "open") letGo(this);
  stockSendPacket.call(this, type, data, options, callback);
}

/** Ends a connection that does not read, in a way that clients reconnect after. Nothing more is queued for it. */
function letGo(socket: EngineSocket): void {
  socket.readyState = "closing";
  socket.server.outbox.onSlowConsumer();
  setImmediate(() => {
    if (socket.transport instanceof OutboxTransport) socket.transport.terminate();
    else socket.close(true);
  });
}
