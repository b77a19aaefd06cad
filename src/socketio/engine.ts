import { Server, type ServerOptions, type Socket, type Transport } from "engine.io";
import { cutOff, type DisconnectReason, disconnectReasons } from "../errors.ts";
import { sparePackets } from "../limits/numbers.ts";
import { Backlog, type BacklogBounds } from "./backlog.ts";
import { Flood } from "./flood.ts";
import { FrameScanner } from "./frame-scanner.ts";
import { InboundMemory } from "./inbound.ts";
import { clientsOf, type EngineRequest, type SocketInternals } from "./internals.ts";
import { OutboxTransport } from "./outbox.ts";
import { Pacer } from "./pacer.ts";
import { answerInBinary, tame, wantsBinaryPayloads } from "./polling.ts";
import { isReducible, ReducedRequest } from "./reduced-request.ts";
import { observing, prepare } from "./session.ts";
import { isUpgradable } from "./session-guard.ts";
import { boundedWebSocketServer, type ReceiveBounds } from "./websocket-server.ts";

/** A transport, and whose it is; while a handshake is going on, nobody's. */
type Owned = Transport & {
  connection?: EngineSocket | undefined;
  /** Charges the client's rate for bytes that were read, or for what reading them has cost beyond that. */
  charge?(bytes: number): void;
};

/** A session of our engine. */
export type EngineSocket = SocketInternals & {
  transport: Owned;
  server: Engine;
  /** Of the request that began it, where an application discards that. */
  savedRequest?: ReducedRequest | undefined;
  /** An application listens for what Engine.IO tells of each packet. */
  observed?: boolean;
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

  /** Hears of each session that has closed, and Engine.IO's reason. */
  onClose: (connection: EngineSocket, reason: string) => void = () => {};

  /** Hears why, of each session that the server ends. */
  readonly onEnding: (reason: DisconnectReason) => void;

  constructor(options: ServerOptions, bounds: EngineBounds, onEnding: (reason: DisconnectReason) => void) {
    const inbound = new InboundMemory(bounds.inboundMemoryMaxBytes);
    const endUnfinished = (connection: EngineSocket) => end(connection, "unfinished packet");
    const receiving = { memory: inbound, bounds, scanner: new FrameScanner(), end: endUnfinished };
    super({ ...options, wsEngine: boundedWebSocketServer(receiving) });
    this.inbound = inbound;
    this.bounds = bounds;
    this.endUnfinished = endUnfinished;
    const { eventsPerSecond, eventsBurst } = bounds;
    const most = 2 * (eventsPerSecond + eventsBurst) + sparePackets;
    this.flood = new Flood(most, (connection) => end(connection, "rate limited"));
    this.onEnding = onEnding;
    this.longestBatchBytes = bounds.sendQueueMaxBytes;
    this.backlog = new Backlog(bounds, (connection) => end(connection, "slow consumer"));
    this.pacer = new Pacer(this.backlog, bounds.sendQueueMaxBytes, this.opts.pingTimeout ?? 0);
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
export function end(connection: EngineSocket, reason: DisconnectReason): void {
  if (connection.readyState === "closed" || connection.ending) return;
  connection.ending = true;
  connection.readyState = "closing";
  connection.server.onEnding(reason);
  // Not in the midst of whatever was being sent to it, or heard from it.
  setImmediate(() => {
    const { transport } = connection;
    if (transport instanceof OutboxTransport) {
      const { code } = disconnectReasons[reason];
      if (code === cutOff) transport.terminate();
      else transport.farewell = [code, reason];
    } else transport.discard();
    connection.onClose(reason);
  });
}

function ignore(): void {}
