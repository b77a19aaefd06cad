import { Server, type ServerOptions, Socket, type Transport } from "engine.io";
import { answerInBinary, wantsBinaryPayloads } from "./eio3.ts";
import { frame } from "./frame.ts";
import { OutboxTransport, type TransportRequest } from "./outbox.ts";

/** Engine.IO's socket, and what of it is not public. */
export type EngineSocket = Pick<Socket, "readyState" | "close" | "listenerCount"> & {
  transport: Transport;
  server: Engine;
  writeBuffer: unknown[];
  write: typeof write;
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

  constructor(options: ServerOptions, outbox: OutboxOptions) {
    super(options);
    this.outbox = outbox;
    this.on("connection", (socket: EngineSocket) => {
      socket.write = write;
    });
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
  if (socket.readyState !== "open" || socket.writeBuffer.length > 0 || isObserved(socket)) return false;
  transport.push(bytes);
  return true;
}

/** Whether an application listens for what Engine.IO tells of each packet. */
function isObserved(socket: EngineSocket): boolean {
  const { server } = socket;
  return (
    socket.listenerCount("packetCreate") +
      socket.listenerCount("flush") +
      socket.listenerCount("drain") +
      server.listenerCount("flush") +
      server.listenerCount("drain") >
    0
  );
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
