import type { Permissions } from "../auth/permissions.ts";
import type { DisconnectReason } from "../errors.ts";
import type { InboundMemory } from "../limits/inbound-memory.ts";
import type { Pacer } from "../limits/pacer.ts";
import type { PacketLimiter } from "../limits/packet-limiter.ts";
import type { Producer } from "../limits/producer.ts";
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
  /** The name of this node, for the open packet; undefined if the rooms are on no other node. */
  readonly nodeId: (() => string) | undefined;
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
  closeReason?: DisconnectReason;
  /** Ends the connection with a close code, or cuts it off without one. */
  end(reason: DisconnectReason): void;
}

/** Engine.IO's socket of this engine, as its session uses it. */
export type SessionSocket = SocketInternals & { readonly server: Shared; readonly session: Session };

/** The session of a socket of this engine. */
export const sessionOf = (socket: object): Session => (socket as SessionSocket).session;

/** One client's Engine.IO session, on any transport, with all the state that roomcast keeps about it. */
export class Session implements Producer<InboundPacket> {
  readonly socket: SessionSocket;
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
  declare openedWithOrigin?: true;
  declare readAt?: number;
  /** Bytes of the POSTs that were answered before all their packets were handled. */
  declare earlyBytes?: number;
  /** Set once the server has ended the session; one that is merely closing may still wait for its client. */
  declare ending?: true;
  /** Set if an application listens on the socket for Engine.IO's per-packet events. */
  declare observed?: true;

  constructor(socket: SessionSocket) {
    this.socket = socket;
    this.shared = socket.server;
    const { request } = socket;
    this.request = request instanceof ReducedRequest ? request : new ReducedRequest(request);
    if (this.transport) this.transport.session = this;
  }

  /** Undefined for the stock transport, which is used if WebSockets are compressed. */
  get transport(): SessionTransport | undefined {
    const transport = this.socket.transport as object as SessionTransport;
    return "session" in transport ? transport : undefined;
  }

  get isStream(): boolean {
    return this.transport?.push !== undefined;
  }

  get isOpen(): boolean {
    return this.socket.readyState === "open";
  }

  get isClosed(): boolean {
    return this.socket.readyState === "closed";
  }

  get isReachable(): boolean {
    return this.isOpen && this.transport?.isGone !== true;
  }

  get queuedBytes(): number {
    if (this.isClosed) return 0;
    return this.#waitingBytes + (this.transport?.unreadBytes ?? 0);
  }

  get #waitingBytes(): number {
    return this.socket.writeBuffer.length > 0 ? this.bufferedBytes : 0;
  }

  keepAlive(): void {
    if (this.isOpen) this.socket.pingTimeoutTimer?.refresh();
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
    this.socket.transport.emit("packet", packet);
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
    const { socket } = this;
    socket.writeBuffer = [...packets, ...socket.writeBuffer];
    this.bufferedBytes = bytes;
  }

  /**
   * Calls back once all packets of a POST are handled. A client that upgrades reads nothing until its POST is
   * answered, so what the server waits for might never happen: its POST is answered at once.
   */
  whenAnswerable(bytes: number, done: () => void): void {
    const { socket, shared } = this;
    let isAnswered = false;
    const answer = () => {
      if (isAnswered) return;
      isAnswered = true;
      socket.off("upgrading", answerEarly);
      done();
    };
    const answerEarly = () => {
      this.earlyBytes = (this.earlyBytes ?? 0) + bytes;
      if (this.earlyBytes <= longestEarlyBytes) answer();
    };
    shared.pacer.whenIdle(this, answer);
    if (isAnswered) return;
    if (socket.upgrading) answerEarly();
    else socket.once("upgrading", answerEarly);
  }

  /** Handles the session's next packet only when a step is done. */
  waitFor(step: Promise<unknown>): void {
    this.shared.pacer.waitFor(this, step);
  }

  /** Whether the client has not read what was sent to it, so that what may be dropped should be. */
  get isBackedUp(): boolean {
    if (this.isStream) return this.transport?.writable === false;
    // Between two polls there is nothing that a client could read.
    return this.queuedBytes > this.shared.maxBatchBytes * backedUpPart;
  }

  /** A promise if much waits for the client, which resolves when it has read most of it or is gone. */
  whenReady(): Promise<void> | undefined {
    return this.shared.slowConsumers.whenRead(this, this.shared.maxBatchBytes * readyPart);
  }

  /** Closes the session once everything that was sent to it has been written. */
  finish(reason: DisconnectReason): void {
    if (this.transport) this.transport.closeReason = reason;
    this.socket.close();
  }

  /**
   * Ends the session in a way after which clients reconnect by themselves. Nothing more is queued for it.
   * Unless the reason demands that the connection is cut off, a client that reads still receives what was
   * sent, and on a WebSocket also the reason.
   */
  close(reason: DisconnectReason): void {
    const { socket } = this;
    if (this.isClosed || this.ending) return;
    this.ending = true;
    socket.readyState = "closing";
    this.shared.onEnd(reason);
    // Deferred: closing synchronously would re-enter a send or a receive in progress.
    setImmediate(() => {
      if (this.transport) this.transport.end(reason);
      else socket.transport.discard();
      socket.onClose(reason);
    });
  }
}

/** Parts of the longest send queue: a client with more to read is backed up, one with less is ready for more. */
const backedUpPart = 1 / 16;
const readyPart = 1 / 8;

/** The most bytes of POSTs of one session that are answered early. */
const longestEarlyBytes = 131_072;

/** Overhead of a waiting packet beyond its data, in bytes. */
export const packetBytes = 256;
