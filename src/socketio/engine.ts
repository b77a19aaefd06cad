import { parse } from "node:querystring";
import { Server, type ServerOptions, Socket, type Transport } from "engine.io";
import { answerInBinary, wantsBinaryPayloads } from "./eio3.ts";
import { frame } from "./frame.ts";
import { OutboxTransport, type TransportRequest } from "./outbox.ts";

/** Engine.IO's socket, and what of it is not public. */
export type EngineSocket = Pick<Socket, "readyState" | "close"> & {
  request: TransportRequest;
  transport: Transport;
  server: Engine;
  writeBuffer: unknown[];
  write: typeof write;
  on: typeof on;
  addListener: typeof on;
  /** An application listens for what Engine.IO tells of each packet. */
  observed: boolean;
  /** What has been handed to Engine.IO since its buffer was last empty, in characters and bytes. */
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
  declare protected middlewares: never[];

  constructor(options: ServerOptions, outbox: OutboxOptions) {
    super(options);
    this.outbox = outbox;
    this.on("connection", (socket: EngineSocket) => {
      trim(socket, "cleanupFn", "sentCallbackFn");
      socket.write = write;
      socket.on = on;
      socket.addListener = on;
      socket.observed = this.listenerCount("flush") + this.listenerCount("drain") > 0;
      if (socket.request.websocket && this.middlewares.length === 0) socket.request = essence(socket.request);
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
 * Puts a frame into the outbox of a connection, past Engine.IO's bookkeeping of packets.
 *
 * @returns false where that is not safe: the packet must then go through Engine.IO
 */
export function collect(socket: EngineSocket, bytes: Buffer): boolean {
  const { transport } = socket;
  if (!(transport instanceof OutboxTransport) || !transport.writable) return false;
  if (socket.readyState !== "open" || socket.writeBuffer.length > 0 || socket.observed) return false;
  transport.push(bytes);
  return true;
}

/** The query of a URL; of a key that is repeated the last value, as Engine.IO has it. */
function queryOf(url = ""): Record<string, string> {
  const query = parse(url.slice(url.indexOf("?") + 1));
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
 * What is read of a request after its connection is made. The rest, some kilobytes of parser and stream, would
 * be kept for as long as the connection; a middleware of the application's may have put something on it, though.
 */
function essence({ headers, url, _query, connection }: TransportRequest): TransportRequest {
  return { headers, url, _query, connection } as TransportRequest;
}

/** What an application may listen for to be told of each packet; where it does, each goes through Engine.IO. */
const observing = new Set<string | symbol>(["packetCreate", "flush", "drain"]);

const stockOn = Socket.prototype.on;

/** Notes whether an application listens for what Engine.IO tells of each packet: asking at each is too dear. */
function on(this: EngineSocket, event: string | symbol, listener: () => void): EngineSocket {
  if (observing.has(event)) this.observed = true;
  return stockOn.call(this as never, event, listener) as never;
}

const stockWrite = Socket.prototype.write as unknown as (
  this: EngineSocket,
  ...args: unknown[]
) => EngineSocket;

/** Engine.IO's `write` for every connection: by the outbox where that is safe, and bounded where it is not. */
function write(
  this: EngineSocket,
  data: string | Buffer,
  options?: WriteOptions,
  callback?: () => void,
): EngineSocket {
  if (typeof data === "string" && !callback) {
    const [encoded] = options?.wsPreEncodedFrame ?? [];
    const whole = options?.wsPreEncodedFrame?.length === 1 && encoded;
    if (collect(this, whole || frame(`4${data}`))) return this;
  }
  if (this.writeBuffer.length === 0) this.waiting = 0;
  this.waiting = (this.waiting ?? 0) + data.length;
  if (this.waiting > this.server.outbox.maxBytes && this.readyState === "open") letGo(this);
  return stockWrite.call(this, data, options, callback);
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
