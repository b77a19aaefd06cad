import type { Permissions } from "../auth/permissions.ts";
import type { DisconnectReason } from "../errors.ts";
import type { InboundMemory } from "../limits/inbound-memory.ts";
import type { Pacer, Producer } from "../limits/pacer.ts";
import type { PacketLimiter } from "../limits/packet-limiter.ts";
import type { Bucket } from "../limits/rate-limiter.ts";
import type { SlowConsumers } from "../limits/slow-consumers.ts";
import type { InboundPacket, SocketInternals } from "./internals.ts";
import { ReducedRequest } from "./reduced-request.ts";
import type { ReceiveBounds } from "./websocket-server.ts";

/** What was moved since the start, in bytes: WebSocket frames as they are, the bodies of polls. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
}

/** What all sessions of an engine share. */
export interface Shared {
  readonly slowConsumers: SlowConsumers<Session>;
  readonly pacer: Pacer<InboundPacket, Session>;
  readonly packets: PacketLimiter<Session>;
  readonly inbound: InboundMemory;
  readonly bounds: ReceiveBounds;
  readonly traffic: Traffic;
  /** The most that a send queue collects before it is written, in bytes. */
  readonly maxBatchBytes: number;
  /** An application listens on the server for what Engine.IO tells of each packet. */
  readonly observed: boolean;
  /** The session that began last. */
  newest: Session | undefined;
  /** Hears why, of each session that the server ends. */
  onEnd(reason: DisconnectReason): void;
  /** Hears of each session that has closed, and Engine.IO's reason. */
  onClose(session: Session, reason: string): void;
}

/** A transport of ours, as its session uses it. */
export interface SessionTransport {
  session: Session | undefined;
  readonly writable: boolean;
  /** Adds a frame to what is written at the end of this turn of the event loop; undefined where it polls. */
  push?(...parts: Buffer[]): void;
  /** What was written and has not left this process, in bytes. */
  readonly unreadBytes: number;
  /** Whether its connection is gone, although that may not have been announced yet. */
  readonly isGone: boolean;
  pause(): void;
  resume(): void;
  /** Charges the client's rate for bytes that were read, or for what reading them has cost beyond that. */
  charge(bytes: number): void;
  /** Why the server closes it, which a WebSocket tells its client. */
  farewell?: DisconnectReason;
  /** Ends the connection with a close code, or without a word. */
  end(reason: DisconnectReason): void;
}

/** A session of our engine, as Engine.IO has it. */
export type EngineSocket = SocketInternals & { server: Shared };

const sessions = new WeakMap<object, Session>();

/** The session of a connection of our engine. */
export const sessionOf = (connection: object): Session => sessions.get(connection) as Session;

/** One client's Engine.IO session, on whichever transport, and all that is remembered of it. */
export class Session implements Producer<InboundPacket> {
  readonly connection: EngineSocket;
  readonly shared: Shared;
  /** Of the request that began it; its own is in the hands of the application. */
  readonly request: ReducedRequest;
  /** The address as limits count it; empty until it is counted. */
  address = "";
  /** The number of handshakes with namespaces. */
  handshakes = 0;
  /** The rate limit of its events; undefined until it has sent one. */
  bucket: Bucket | undefined = undefined;
  /** What was put into Engine.IO's buffer since it was empty, in bytes. While it is flushed, what is being flushed. */
  bufferedBytes = 0;
  /** What its newest token allows. */
  declare permissions?: Permissions;
  /** The foreign origin of its page; undefined for a page of this server, a program, or a browser that sends none. */
  declare origin?: string | undefined;
  /** Its first request named a foreign origin. */
  declare beganNamed?: true;
  declare readAt?: number;
  /** The server has ended it; one that is only closing may wait for its client. */
  declare ending?: true;
  /** An application listens for what Engine.IO tells of each packet. */
  declare observed?: true;

  constructor(connection: EngineSocket) {
    this.connection = connection;
    this.shared = connection.server;
    const { request } = connection;
    this.request = request instanceof ReducedRequest ? request : new ReducedRequest(request);
    sessions.set(connection, this);
    if (this.transport) this.transport.session = this;
  }

  /** Undefined for a stock transport, which serves where WebSockets are compressed. */
  get transport(): SessionTransport | undefined {
    const transport = this.connection.transport as object as SessionTransport;
    return "session" in transport ? transport : undefined;
  }

  get isStream(): boolean {
    return this.transport?.push !== undefined;
  }

  get isOpen(): boolean {
    return this.connection.readyState === "open";
  }

  get isClosed(): boolean {
    return this.connection.readyState === "closed";
  }

  get isThere(): boolean {
    return this.isOpen && this.transport?.isGone !== true;
  }

  get queuedBytes(): number {
    if (this.isClosed) return 0;
    return this.#waitingBytes + (this.transport?.unreadBytes ?? 0);
  }

  get #waitingBytes(): number {
    return this.connection.writeBuffer.length > 0 ? this.bufferedBytes : 0;
  }

  keepAlive(): void {
    if (this.isOpen) this.connection.pingTimeoutTimer?.refresh();
  }

  pause(): void {
    this.transport?.pause();
  }

  resume(): void {
    this.transport?.resume();
  }

  lengthOf({ data }: InboundPacket): number {
    return (data as string | Buffer | undefined)?.length ?? 0;
  }

  handle(packet: InboundPacket): void {
    this.connection.transport.emit("packet", packet);
  }

  /** A packet has come over its transport. */
  receive(packet: InboundPacket): void {
    // Heartbeats have no order.
    if (packet.type === "message") this.shared.pacer.receive(this, packet);
    else this.handle(packet);
  }

  /** A packet is about to wait in Engine.IO's buffer. */
  wait(dataBytes: number): void {
    const size = packetBytes + dataBytes;
    this.bufferedBytes = this.#waitingBytes + size;
    this.shared.slowConsumers.queued(this, size);
  }

  /** Puts packets that were flushed back, to be sent later. */
  putBack(packets: readonly unknown[], bytes: number): void {
    const { connection } = this;
    connection.writeBuffer = [...packets, ...connection.writeBuffer];
    this.bufferedBytes = bytes;
  }

  /** Closes it once everything that was sent to it has been written. */
  finish(reason: DisconnectReason): void {
    if (this.transport) this.transport.farewell = reason;
    this.connection.close();
  }

  /**
   * Ends it in a way that clients come back from by themselves. Nothing more is queued for it; who reads still hears
   * what was sent, and a WebSocket the reason.
   */
  close(reason: DisconnectReason): void {
    const { connection } = this;
    if (this.isClosed || this.ending) return;
    this.ending = true;
    connection.readyState = "closing";
    this.shared.onEnd(reason);
    // Not in the midst of whatever was being sent to it, or heard from it.
    setImmediate(() => {
      if (this.transport) this.transport.end(reason);
      else connection.transport.discard();
      connection.onClose(reason);
    });
  }
}

/** What a packet that waits costs beside its data, in bytes. */
export const packetBytes = 256;
