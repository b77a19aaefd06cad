import { Server, type ServerOptions, type Socket, type Transport } from "engine.io";
import type { DisconnectReason } from "../errors.ts";
import { InboundMemory } from "../limits/inbound-memory.ts";
import { Pacer } from "../limits/pacer.ts";
import { maxPacketsPerSecond, PacketLimiter } from "../limits/packet-limiter.ts";
import { type SendQueueBounds, SlowConsumers } from "../limits/slow-consumers.ts";
import { EngineSocket, packetEvents } from "./engine-socket.ts";
import { FrameScanner } from "./frame-scanner.ts";
import type { ReceiveBounds } from "./incoming.ts";
import { clientsOf, type EngineRequest, type InboundPacket } from "./internals.ts";
import { pollingTransport } from "./polling-transport.ts";
import { isReducible, ReducedRequest } from "./reduced-request.ts";
import { type Session, type Shared, sessionOf, type Traffic } from "./session.ts";
import { isUpgradable } from "./session-guard.ts";
import { boundedWebSocketServer } from "./websocket-server.ts";
import { WebSocketTransport } from "./websocket-transport.ts";

/** Limits on what each connection, and all connections together, may send and leave unread. */
export interface EngineBounds extends SendQueueBounds, ReceiveBounds {
  /** Memory for partially received data, for all connections together, in bytes. */
  inboundMemoryMaxBytes: number;
  /** Sustained event rate per connection. */
  eventsPerSecond: number;
  /** Events that a connection may send at once after being idle. */
  eventsBurst: number;
}

type Handshake = Parameters<Server["handshake"]>;

/** Engine.IO's server with a send queue per WebSocket, limits on queued data, and support for old clients. */
export class Engine extends Server implements Shared {
  readonly slowConsumers: SlowConsumers<Session>;
  readonly pacer: Pacer<InboundPacket, Session>;
  readonly packets: PacketLimiter<Session>;
  readonly inbound: InboundMemory;
  readonly bounds: ReceiveBounds;
  readonly traffic: Traffic = { bytesIn: 0, bytesOut: 0 };
  readonly maxBatchBytes: number;
  observed = false;
  onClose: (session: Session, reason: string) => void = () => {};
  readonly onEnd: (reason: DisconnectReason) => void;
  readonly nodeId: (() => string) | undefined;
  /** WebSocket requests that application code has seen and may hold on to. */
  readonly #exposedRequests = new WeakSet<object>();

  constructor(
    options: Omit<ServerOptions, "cookie">,
    bounds: EngineBounds,
    onEnd: (reason: DisconnectReason) => void,
    nodeId?: () => string,
  ) {
    const inbound = new InboundMemory(bounds.inboundMemoryMaxBytes);
    const receiving = { memory: inbound, bounds, scanner: new FrameScanner() };
    super({ ...options, wsEngine: boundedWebSocketServer(receiving) });
    this.inbound = inbound;
    this.bounds = bounds;
    const { sendQueueMaxBytes } = bounds;
    this.packets = new PacketLimiter(maxPacketsPerSecond(bounds), (session) => session.close("rate limited"));
    this.onEnd = onEnd;
    this.nodeId = nodeId;
    this.maxBatchBytes = sendQueueMaxBytes;
    this.slowConsumers = new SlowConsumers(bounds, (session) => session.close("slow consumer"));
    this.pacer = new Pacer(this.slowConsumers, sendQueueMaxBytes, this.opts.pingTimeout ?? 0);
    this.on("newListener", (event) => {
      if (packetEvents.has(event)) this.observed = true;
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
   * Whether a request fits its transport and the session that it names: Engine.IO never answers a plain
   * request for a session that uses a WebSocket. Checked after the middleware, because another upgrade may
   * have started while the middleware ran.
   */
  #isUsable({ sid, transport }: Record<string, string>, isUpgrade: boolean): boolean {
    if ((transport === "websocket") !== isUpgrade) return false;
    return !isUpgrade || !sid || isUpgradable(clientsOf(this)[sid] as Socket);
  }

  override handleUpgrade(...[request, socket, head]: Parameters<Server["handleUpgrade"]>): void {
    if (this.#exposesRequests()) this.#exposedRequests.add(request);
    // Until the last middleware calls back, the socket has no other error listener, and an unhandled error ends
    // the process.
    if (this.middlewares.length > 0 || this.opts.allowRequest) socket.on("error", ignore);
    super.handleUpgrade(request, socket, head);
  }

  /**
   * Follows Engine.IO's own handshake, which always creates sockets of Engine.IO's class. The only difference is that
   * there are no cookies. A test fails if a new version changes the original.
   */
  protected override async handshake(...[name, incoming, refuse]: Handshake): Promise<unknown> {
    const request = this.#keptRequest(incoming as EngineRequest);
    const fail = (code: 3 | 5, context: object) => {
      this.emit("connection_error", { req: request, code, message: Server.errorMessages[code], context });
      refuse(code);
    };
    const protocol = request._query.EIO === "4" ? 4 : 3;
    if (protocol === 3 && !this.opts.allowEIO3)
      return fail(Server.errors.UNSUPPORTED_PROTOCOL_VERSION, { protocol });
    let id: string;
    let transport: Transport;
    try {
      id = await this.generateId(request);
    } catch (error) {
      return fail(Server.errors.BAD_REQUEST, { name: "ID_GENERATION_ERROR", error });
    }
    try {
      transport = this.createTransport(name as "polling" | "websocket", request);
    } catch (error) {
      return fail(Server.errors.BAD_REQUEST, { name: "TRANSPORT_HANDSHAKE_ERROR", error });
    }
    this.#open(new EngineSocket(id, this, transport, request, protocol), request);
    return transport;
  }

  #open(socket: EngineSocket, request: EngineRequest): void {
    const { id, transport } = socket;
    // Over WebSocket, the headers were sent before the handshake.
    if (transport.name === "polling") {
      transport.on("headers", (headers: object, poll: EngineRequest) => {
        if (!poll._query.sid) this.emit("initial_headers", headers, poll);
        this.emit("headers", headers, poll);
      });
    }
    transport.onRequest(request);
    clientsOf(this)[id] = socket as unknown as Socket;
    this.clientsCount++;
    this.emit("connection", socket);
  }

  /** The request becomes `socket.request`, which stays the same object as long as the connection lives. */
  #keptRequest(request: EngineRequest): EngineRequest {
    const isKept = !request.websocket || this.#exposedRequests.has(request) || !isReducible(request);
    return isKept ? request : (new ReducedRequest(request) as never);
  }

  /** Whether application code sees requests before the connection exists, and so may hold on to them. */
  #exposesRequests(): boolean {
    if (this.middlewares.length > 0 || this.opts.allowRequest || Object.hasOwn(this, "generateId"))
      return true;
    return this.listenerCount("headers") + this.listenerCount("initial_headers") > 0;
  }

  override createTransport(name: "polling" | "websocket", request: EngineRequest): Transport {
    // The send queue does not compress frames: with compression, the stock transport is used.
    const { perMessageDeflate } = this.opts;
    if (name === "websocket" && perMessageDeflate)
      return Object.assign(super.createTransport(name, request), { perMessageDeflate });
    const transport =
      name === "websocket"
        ? new WebSocketTransport(request)
        : pollingTransport(request, this.opts, this.traffic);
    const connection = clientsOf(this)[request._query.sid ?? ""];
    transport.session = connection && sessionOf(connection);
    return transport;
  }

  override close(): this {
    this.slowConsumers.close();
    this.packets.close();
    this.pacer.close();
    return super.close();
  }
}

function ignore(): void {}
