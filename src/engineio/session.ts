import type { Permissions } from "../auth/permissions.ts";
import type { DisconnectReason } from "../errors.ts";
import type { InboundMemory } from "../limits/inbound-memory.ts";
import type { Pacer, Producer } from "../limits/pacer.ts";
import type { PacketLimiter } from "../limits/packet-limiter.ts";
import type { Bucket } from "../limits/rate-limiter.ts";
import type { SlowConsumers } from "../limits/slow-consumers.ts";
import type { ReceiveBounds } from "./incoming.ts";
import type { InboundPacket, SocketInternals } from "./internals.ts";
import { ReducedRequest } from "./reduced-request.ts";

/** Bytes transferred since the start: WebSocket frames sent, WebSocket messages received, polling bodies. */
export interface Traffic {
  bytesIn: number;
  bytesOut: number;
}

/** State and services that all sessions of an engine share. */
export interface Shared {
  readonly slowConsumers: SlowConsumers<Session>;
  readonly pacer: Pacer<InboundPacket, Session>;
  readonly packets: PacketLimiter<Session>;
  readonly inbound: InboundMemory;
  readonly bounds: ReceiveBounds;
  readonly traffic: Traffic;
  /** Most bytes that a send queue collects before it is flushed. */
  readonly maxBatchBytes: number;
  /** Whether an application listens on the server for Engine.IO's per-packet events. */
  readonly observed: boolean;
  /** The session that started last. */
  newest: Session | undefined;
  /** Called with the reason for each session that the server ends. */
  onEnd(reason: DisconnectReason): void;
  /** Called for each closed session, with Engine.IO's reason. */
  onClose(session: Session, reason: string): void;
}

/** A transport of this engine, as its session uses it. */
export interface SessionTransport {
  session: Session | undefined;
  readonly writable: boolean;
  /** Adds a frame to the batch written at the end of this event loop turn; undefined for polling. */
  push?(...parts: Buffer[]): void;
  /** Bytes that were written and have not left this process. */
  readonly unreadBytes: number;
  /** Whether the underlying connection is gone, even if no event has reported it yet. */
  readonly isGone: boolean;
  pause(): void;
  resume(): void;
  /** Charges the client's byte rate for bytes that were read, or for the extra cost of handling them. */
  charge(bytes: number): void;
  /** Why the server closes the session; a WebSocket transport sends it in the close frame. */
  farewell?: DisconnectReason;
  /** Ends the connection with a close code, or cuts it off without one. */
  end(reason: DisconnectReason): void;
}

/** engine.io's Socket for a session of this engine. */
export type EngineSocket = SocketInternals & { server: Shared };

const sessions = new WeakMap<object, Session>();

/** The session of a connection of this engine. */
export function sessionOf(connection: object): Session {
  const { transport } = connection as { transport?: Partial<SessionTransport> };
  return transport?.session ?? (sessions.get(connection) as Session);
}

/** One client's Engine.IO session, on any transport, with all the state that roomcast keeps about it. */
export class Session implements Producer<InboundPacket> {
  readonly connection: EngineSocket;
  readonly shared: Shared;
  /** A copy of the opening request. The application may change or discard the connection's own. */
  readonly request: ReducedRequest;
  /** The address as limits count it; empty until the session is counted. */
  address = "";
  /** The number of namespace handshakes. */
  handshakes = 0;
  /** The rate limit's token bucket; undefined until the first event. */
  bucket: Bucket | undefined = undefined;
  /** Bytes put into Engine.IO's buffer since it was last empty. During a flush, the bytes being flushed. */
  bufferedBytes = 0;
  /** The permissions of the client's newest token. */
  declare permissions?: Permissions;
  /** The page's foreign origin; undefined for this server's pages, programs, and browsers that send none. */
  declare origin?: string | undefined;
  /** Set if the first request named a foreign origin. */
  declare beganNamed?: true;
  declare readAt?: number;
  /** Set once the server has ended the session; one that is merely closing may still wait for its client. */
  declare ending?: true;
  /** Set if an application listens on this connection for Engine.IO's per-packet events. */
  declare observed?: true;

  constructor(connection: EngineSocket) {
    this.connection = connection;
    this.shared = connection.server;
    const { request } = connection;
    this.request = request instanceof ReducedRequest ? request : new ReducedRequest(request);
    if (this.transport) this.transport.session = this;
    else sessions.set(connection, this);
  }

  /** Undefined for the stock transport, which is used if WebSockets are compressed. */
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

  /** Accepts a packet from the transport. */
  receive(packet: InboundPacket): void {
    // Heartbeats are handled at once: their order does not matter.
    if (packet.type === "message") this.shared.pacer.receive(this, packet);
    else this.handle(packet);
  }

  /** Counts a packet that is about to wait in Engine.IO's buffer. */
  wait(dataBytes: number): void {
    const size = packetBytes + dataBytes;
    this.bufferedBytes = this.#waitingBytes + size;
    this.shared.slowConsumers.queued(this, size);
  }

  /** Puts flushed packets back at the front of the buffer, to be sent later. */
  putBack(packets: readonly unknown[], bytes: number): void {
    const { connection } = this;
    connection.writeBuffer = [...packets, ...connection.writeBuffer];
    this.bufferedBytes = bytes;
  }

  /** Handles the session's next packet only when a step is done, which never rejects. */
  waitFor(step: Promise<unknown>): void {
    this.shared.pacer.waitFor(this, step);
  }

  /** Closes the session once everything that was sent to it has been written. */
  finish(reason: DisconnectReason): void {
    if (this.transport) this.transport.farewell = reason;
    this.connection.close();
  }

  /**
   * Ends the session in a way after which clients reconnect by themselves. Nothing more is queued for it.
   * Unless the reason demands that the connection is cut off, a client that reads still receives what was
   * sent, and on a WebSocket also the reason.
   */
  close(reason: DisconnectReason): void {
    const { connection } = this;
    if (this.isClosed || this.ending) return;
    this.ending = true;
    connection.readyState = "closing";
    this.shared.onEnd(reason);
    // Deferred: closing synchronously would re-enter a send or a receive in progress.
    setImmediate(() => {
      if (this.transport) this.transport.end(reason);
      else connection.transport.discard();
      connection.onClose(reason);
    });
  }
}

/** Overhead of a waiting packet beyond its data, in bytes. */
export const packetBytes = 256;
