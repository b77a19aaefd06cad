import { Server, type ServerOptions, Socket, type Transport } from "engine.io";
import { cutOff, type Ending, endings } from "../errors.ts";
import { sparePackets } from "../limits.ts";
import { Backlog, type BacklogBounds } from "./backlog.ts";
import { Flood } from "./flood.ts";
import { type Data, frame, memoryOf } from "./frame.ts";
import { InboundMemory } from "./inbound.ts";
import { clientsOf, type EngineRequest, type SocketInternals, stockSendPacket, trim } from "./internals.ts";
import { OutboxTransport } from "./outbox.ts";
import { copyBytes, Pacer } from "./pacer.ts";
import { answerInBinary, tame, wantsBinaryPayloads } from "./polling.ts";
import { isReducible, ReducedRequest } from "./reduced-request.ts";
import { isUpgradable } from "./session-guard.ts";
import { boundedWebSocketServer, type ReceiveBounds } from "./websocket-server.ts";

/** A transport, and whose it is; while a handshake is going on, nobody's. */
type Owned = Transport & { connection?: EngineSocket | undefined };

/** A session of our engine. */
export type EngineSocket = SocketInternals & {
  transport: Owned;
  server: Engine;
  /** Of the request that began it, where an application discards that. */
  savedRequest?: ReducedRequest | undefined;
  /** An application listens for what Engine.IO tells of each packet. */
  observed: boolean;
  /** The server has ended it; one that is only closing may wait for its client. */
  ending?: true;
  /** What waits in `writeBuffer`. */
  waitingBytes?: number;
};

/** What one connection, and all, may send and leave. */
export interface EngineBounds extends BacklogBounds, ReceiveBounds {
  /** What was received in part, of all connections together. */
  inboundMemoryMaxBytes: number;
  eventsPerSecond: number;
  eventsBurst: number;
}

type Handshake = Parameters<Server["handshake"]>;

interface WriteOptions {
  wsPreEncodedFrame?: Buffer[];
}

/** What was moved since the start, in bytes: WebSocket frames as they are, the bodies of polls. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
}

/** Engine.IO's server with an outbox for each WebSocket, bounds on what waits, and what old clients need beyond it. */
export class Engine extends Server {
  readonly backlog: Backlog;
  readonly flood: Flood;
  readonly pacer: Pacer;
  readonly inbound: InboundMemory;
  readonly bounds: ReceiveBounds;
  /** The connection that came last; Socket.IO makes its decoder within the event that tells of it. */
  newest: EngineSocket | undefined;
  /** Ends a session that sends a packet in too many parts, or holds too much of one. */
  readonly endUnfinished: (connection: EngineSocket) => void;
  /** Requests for WebSockets that the application has seen. */
  readonly #shown = new WeakSet<object>();
  readonly traffic: Traffic = { bytesIn: 0, bytesOut: 0 };
  /** The most that an outbox collects before it is written, in bytes. */
  readonly longestBatchBytes: number;
  /** An application listens on the server for what Engine.IO tells of each packet. */
  observed = false;

  /** Hears why, of each session that the server ends. */
  readonly onEnding: (reason: Ending) => void;

  constructor(options: ServerOptions, bounds: EngineBounds, onEnding: (reason: Ending) => void) {
    const inbound = new InboundMemory(bounds.inboundMemoryMaxBytes);
    const endUnfinished = (connection: EngineSocket) => end(connection, "unfinished packet");
    super({ ...options, wsEngine: boundedWebSocketServer({ memory: inbound, bounds, end: endUnfinished }) });
    this.inbound = inbound;
    this.bounds = bounds;
    this.endUnfinished = endUnfinished;
    const { eventsPerSecond, eventsBurst } = bounds;
    const most = 2 * (eventsPerSecond + eventsBurst) + sparePackets;
    this.flood = new Flood(most, (connection) => end(connection, "rate limited"));
    this.onEnding = onEnding;
    this.longestBatchBytes = bounds.outboxMaxBytes;
    this.backlog = new Backlog(bounds, (connection) => end(connection, "slow consumer"));
    this.pacer = new Pacer(this.backlog, this.opts.pingTimeout ?? 0);
    this.on("newListener", (event) => {
      if (observing.has(event)) this.observed = true;
    });
  }

  protected override verify(...[request, isUpgrade, done]: Parameters<Server["verify"]>): void {
    const { _query } = request as EngineRequest;
    super.verify(request, isUpgrade, (code, context) => {
      if (code !== undefined || this.#isUsable(_query, isUpgrade)) done(code, context);
      else done(Server.errors.BAD_REQUEST, { name: "TRANSPORT_MISMATCH" });
    });
  }

  /**
   * Whether a request suits its transport, and the session that it names: Engine.IO never answers a plain request
   * to a session that is a WebSocket. After middleware, during which another upgrade may have begun.
   */
  #isUsable({ sid, transport }: Record<string, string>, isUpgrade: boolean): boolean {
    if ((transport === "websocket") !== isUpgrade) return false;
    return !isUpgrade || !sid || isUpgradable(clientsOf(this)[sid] as Socket);
  }

  override handleUpgrade(...[request, socket, head]: Parameters<Server["handleUpgrade"]>): void {
    if (this.#showsRequests()) this.#shown.add(request);
    // Until its last step has called back nobody listens for errors, and one without a listener ends the process.
    if (this.middlewares.length > 0 || this.opts.allowRequest) socket.on("error", ignore);
    super.handleUpgrade(request, socket, head);
  }

  /** The request becomes `socket.request`: the same object for as long as the connection lasts. */
  protected override handshake(...[transport, request, refuse]: Handshake): Promise<unknown> {
    const opening = request as EngineRequest;
    const isKept = !opening.websocket || this.#shown.has(request) || !isReducible(opening);
    return super.handshake(transport, isKept ? request : (new ReducedRequest(opening) as never), refuse);
  }

  /** Whether an application sees requests before there is a connection: then it may hold on to them. */
  #showsRequests(): boolean {
    if (this.middlewares.length > 0 || this.opts.allowRequest || Object.hasOwn(this, "generateId"))
      return true;
    return this.listenerCount("headers") + this.listenerCount("initial_headers") > 0;
  }

  /** Prepares each session before the first listener, which may do anything to it. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    if (event === "connection") prepare(args[0] as EngineSocket);
    return super.emit(event as never, ...args);
  }

  override createTransport(name: "polling" | "websocket", request: EngineRequest): Transport {
    const transport = this.#transportFor(name, request);
    transport.connection = clientsOf(this)[request._query.sid ?? ""] as unknown as EngineSocket | undefined;
    return transport;
  }

  #transportFor(name: "polling" | "websocket", request: EngineRequest): Owned {
    // With compression the stock transport is the one to use.
    if (name === "websocket" && !this.opts.perMessageDeflate) {
      return new OutboxTransport(request);
    }
    const transport = super.createTransport(name, request) as Owned;
    if (name === "polling") tame(transport, this.traffic, request._query.j !== undefined);
    if (name === "polling" && wantsBinaryPayloads(request._query)) answerInBinary(transport);
    return transport;
  }

  override close(): this {
    this.backlog.close();
    this.flood.close();
    this.pacer.close();
    return super.close();
  }
}

/**
 * Ends a connection in a way that clients come back from by themselves. Nothing more is queued for it; who reads
 * still hears what was sent, and a WebSocket the reason.
 */
export function end(connection: EngineSocket, reason: Ending): void {
  if (connection.readyState === "closed" || connection.ending) return;
  connection.ending = true;
  connection.readyState = "closing";
  connection.server.onEnding(reason);
  // Not in the midst of whatever was being sent to it, or heard from it.
  setImmediate(() => {
    const { transport } = connection;
    if (transport instanceof OutboxTransport) {
      if (endings[reason] === cutOff) transport.terminate();
      else transport.farewell = [endings[reason], reason];
    } else transport.discard();
    connection.onClose(reason);
  });
}

/**
 * The outbox of a connection, for a frame to be put into it past Engine.IO's bookkeeping of packets.
 *
 * @returns undefined where that is not safe: the packet must then go through Engine.IO
 */
export function outboxOf(connection: EngineSocket): OutboxTransport | undefined {
  const { transport } = connection;
  if (!(transport instanceof OutboxTransport) || !transport.writable) return undefined;
  if (connection.readyState !== "open" || connection.writeBuffer.length > 0) return undefined;
  return connection.observed || connection.server.observed ? undefined : transport;
}

/** What an application may listen for to be told of each packet; where it does, each goes through Engine.IO. */
const observing = new Set<string | symbol>(["packetCreate", "flush", "drain"]);

/**
 * Notes whether an application listens for what Engine.IO tells of each packet: asking at each is too dear, and a
 * listener of `newListener` too large. Node's `once` and `prependOnceListener` call these.
 */
function observe<Add extends (event: string | symbol, listener: () => void) => unknown>(add: Add) {
  return function (this: EngineSocket, event: string | symbol, listener: () => void): unknown {
    if (observing.has(event)) this.observed = true;
    return add.call(this, event, listener);
  };
}

/** Engine.IO's `sendPacket`, by the outbox where that is safe, and counted where it is not. */
function sendPacket(
  this: EngineSocket,
  type: string,
  data?: Data,
  options?: WriteOptions | (() => void),
  callback?: () => void,
): void {
  const given = typeof options === "function" ? undefined : options;
  if (type === "message") this.server.pacer.workBytes += copyBytes + lengthOf(data);
  if (type === "message" && typeof data === "string" && !callback && typeof options !== "function") {
    const outbox = outboxOf(this);
    if (outbox) {
      outbox.push(...(given?.wsPreEncodedFrame ?? [frame(`4${data}`)]));
      return;
    }
  }
  this.server.backlog.wait(this, bytesOf(data, given));
  stockSendPacket.call(this, type, data, options, callback);
}

const lengthOf = (data: Data = "") => (typeof data === "string" ? data.length : data.byteLength);

function bytesOf(data: Data | undefined, options: WriteOptions | undefined): number {
  const [framed] = options?.wsPreEncodedFrame ?? [];
  return framed ? framed.length : memoryOf(data);
}

function ignore(): void {}

function prepare(connection: EngineSocket): void {
  connection.server.newest = connection;
  trim(connection, "cleanupFn", "sentCallbackFn");
  // As a prototype of theirs these would cost each connection 700 bytes: V8 would make a dictionary of it.
  Object.assign(connection, ours);
  connection.transport.connection = connection;
  const { request } = connection;
  connection.savedRequest = request instanceof ReducedRequest ? request : new ReducedRequest(request);
}

const { addListener, prependListener } = Socket.prototype;

/** What our sessions do otherwise than those of Engine.IO. */
const ours = {
  observed: false,
  sendPacket,
  on: observe(addListener),
  addListener: observe(addListener),
  prependListener: observe(prependListener),
};
