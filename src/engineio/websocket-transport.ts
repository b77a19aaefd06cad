import type { Socket as TcpSocket } from "node:net";
import { nextTick } from "node:process";
import { Transport } from "engine.io";
import type { WebSocket } from "ws";
import { cutOff, type DisconnectReason, disconnectReasons } from "../errors.ts";
import { frame } from "./frame.ts";
import { FrameBatch } from "./frame-batch.ts";
import type { EngineRequest, InboundPacket, TransportPacket } from "./internals.ts";
import type { Session, SessionTransport } from "./session.ts";
import { type Incoming, incomingOf } from "./websocket-server.ts";

/** The time a client has to answer the close of its connection. */
const longestCloseMs = 1_000;

/** What may wait in a WebSocket that is not its connection's transport yet, in bytes. */
const longestProbeBytes = 65_536;

/** How `ws` calls a message in more fragments or chunks than it may come in. */
const tooManyParts = "WS_ERR_TOO_MANY_BUFFERED_PARTS";

/** What the kernel has refused of a flush, and what is behind that. */
interface Rest {
  pieces: readonly Buffer[];
  /** The next of them to be written. */
  at: number;
  /** From there on. */
  bytes: number;
  /** How many calls of `send` are in it. */
  sends: number;
  /** The size of the piece that was written last. */
  lastBytes: number;
}

/**
 * Engine.IO's WebSocket transport with a send queue: frames are collected and leave in one write at the end of
 * the turn of the event loop in which they were sent. Transports that collected the same frames share one
 * buffer.
 *
 * It is writable unless the connection is backed up: until the socket has drained, Engine.IO keeps what comes
 * next, and volatile packets are dropped.
 */
export class WebSocketTransport extends Transport implements SessionTransport {
  readonly socket: WebSocket;
  /** The connection under the WebSocket, which batches are written to. */
  readonly tcp: TcpSocket;
  /** Whose it is, or is asking to become; while a handshake is going on, nobody's. */
  session: Session | undefined;
  /** What its WebSocket is closed with; the plain close where not set. */
  declare farewell?: DisconnectReason;
  /** What was collected in this turn. */
  #batch: FrameBatch | undefined;
  /** How many calls of `send` are in the send queue; Engine.IO waits for a `drain` for each. */
  #sends = 0;
  /** Undefined unless the connection is backed up. */
  #rest: Rest | undefined;

  constructor(request: EngineRequest) {
    super(request);
    this.socket = request.websocket as WebSocket;
    this.tcp = request.socket;
    this.#incoming.transport = this;
    this.socket.on("message", heard);
    this.socket.on("ping", pinged);
    this.socket.on("error", failed);
    this.writable = true;
  }

  /** What arrives, and how fast. It tells when the connection has drained, and when it is closed. */
  get #incoming(): Incoming {
    return incomingOf(this.tcp);
  }

  /** The session that it is the transport of. */
  get #owner(): Session | undefined {
    return this.session?.transport === this ? this.session : undefined;
  }

  get isGone(): boolean {
    return this.tcp.destroyed;
  }

  pause(): void {
    this.#incoming.pause();
  }

  resume(): void {
    this.#incoming.resume();
  }

  charge(bytes: number): void {
    this.#incoming.charge(bytes);
  }

  get name(): string {
    return "websocket";
  }

  get handlesUpgrades(): boolean {
    return true;
  }

  send(packets: TransportPacket[]): void {
    this.#sends++;
    for (const packet of packets) {
      const encoded = packet.options?.wsPreEncodedFrame;
      if (encoded) this.push(...encoded);
      else
        this.parser.encodePacket(packet, this.supportsBinary, (data: string | Buffer) =>
          this.push(frame(data)),
        );
    }
  }

  /** Adds a frame, in one part or several, to what leaves at the end of this turn. */
  push(...parts: Buffer[]): void {
    if (this.#batch === undefined) {
      enlist(this);
      this.#batch = empty;
    }
    for (const part of parts) this.#batch = this.#batch.with(part);
    // So that a long turn holds no more than may wait at all.
    if (this.session && this.#batch.size > this.session.shared.maxBatchBytes) this.flush();
  }

  /** Writes what was collected. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const sends = this.#sends;
    this.#sends = 0;
    if (this.socket.readyState !== this.socket.OPEN || !this.tcp.writable) return;
    if (this.session) this.session.shared.traffic.bytesOut += batch.size;
    if (this.#rest) {
      const { pieces, at, bytes, sends: before } = this.#rest;
      this.#rest.pieces = [...pieces.slice(at), ...batch.pieces];
      Object.assign(this.#rest, { at: 0, bytes: bytes + batch.size, sends: before + sends });
      if (this.#writeRest()) return;
    } else if (this.#write(batch, sends)) return;
    this.writable = false;
    const owner = this.#owner;
    if (owner) owner.shared.slowConsumers.queued(owner, batch.size);
    // One that only asks to become a session's is answered by Engine.IO whether it reads or not.
    else if (this.unreadBytes > longestProbeBytes) this.socket.terminate();
  }

  /** @returns false if the kernel has refused a piece */
  #write({ pieces, size }: FrameBatch, sends: number): boolean {
    const [first] = pieces as [Buffer];
    const isTaken = this.#isTaken(first);
    if (!isTaken || pieces.length > 1) {
      this.#rest = { pieces, at: 1, bytes: size - first.length, sends, lastBytes: first.length };
      return isTaken && this.#writeRest();
    }
    if (sends > 0) nextTick(sent, this, sends);
    return true;
  }

  /** Writes pieces until the kernel refuses one. @returns false if it did */
  #writeRest(): boolean {
    const rest = this.#rest as Rest;
    while (rest.at < rest.pieces.length) {
      const piece = rest.pieces[rest.at++] as Buffer;
      rest.bytes -= piece.length;
      rest.lastBytes = piece.length;
      if (!this.#isTaken(piece)) return false;
    }
    this.#rest = undefined;
    if (rest.sends > 0) nextTick(sent, this, rest.sends);
    return true;
  }

  /** A full buffer of Node's alone does not mean that the kernel has refused anything. */
  #isTaken(piece: Buffer): boolean {
    return this.tcp.write(piece) || this.tcp.writableLength === 0;
  }

  /** What was written and has not left this process. */
  get unreadBytes(): number {
    return this.tcp.writableLength + (this.#rest?.bytes ?? 0);
  }

  /** Writes what was collected and closes; a client that does not answer in time is cut off. */
  doClose(done?: () => void): void {
    this.flush();
    // The close must come behind it.
    while (this.#rest && this.tcp.writable && !this.#writeRest());
    // A connection that is held back could not answer.
    this.resume();
    const reason = this.farewell;
    if (reason) this.socket.close(disconnectReasons[reason].code, reason);
    else this.socket.close();
    const late = setTimeout(() => this.socket.terminate(), longestCloseMs);
    this.socket.once("close", () => clearTimeout(late));
    done?.();
  }

  end(reason: DisconnectReason): void {
    if (disconnectReasons[reason].code === cutOff) this.socket.terminate();
    else this.farewell = reason;
  }

  admits(frames: number): boolean {
    this.session?.shared.packets.admits(this.session, frames);
    return this.session !== undefined;
  }

  refuseUnfinished(): void {
    const owner = this.#owner;
    if (owner) owner.close("unfinished packet");
    // One that only asks to become the transport of a session.
    else this.socket.terminate();
  }

  hear(data: Buffer, isBinary: boolean): void {
    const { session } = this;
    if (session) {
      session.shared.traffic.bytesIn += data.length;
      if (session.ending) return;
    }
    this.onData(isBinary ? data : data.toString());
  }

  /** `ws` answers each ping of a client; one that asks and does not read would have answers pile up. */
  answered(): void {
    const unread = this.tcp.writableLength - (this.#rest?.lastBytes ?? 0);
    if (this.session && unread > this.session.shared.maxBatchBytes) this.session.close("slow consumer");
  }

  fail(error: Error & { code?: string }): void {
    const owner = this.#owner;
    if (owner && error.code === tooManyParts) owner.close("unfinished packet");
    else this.onError("websocket error", error);
  }

  /** Also for what Engine.IO does itself: packets wait their turn once it is a session's transport. */
  override onPacket(packet: InboundPacket): void {
    const owner = this.#owner;
    if (owner) owner.receive(packet);
    else super.onPacket(packet as never);
  }

  closed(): void {
    const owner = this.#owner;
    const close = () => this.onClose();
    if (owner) owner.shared.pacer.whenIdle(owner, close);
    else close();
  }

  drained(): void {
    if (this.writable) return;
    const done = !this.#rest || this.#writeRest();
    const owner = this.#owner;
    if (owner) owner.shared.slowConsumers.read(owner);
    if (!done) return;
    this.writable = true;
    this.emit("ready");
  }
}

function sent(transport: WebSocketTransport, sends: number): void {
  for (let n = 0; n < sends; n++) transport.emit("drain");
}

// All connections share these few listeners, which find their transport on what they are called on.

const transportOf = (socket: WebSocket) => incomingOf(socket).transport as WebSocketTransport;

function heard(this: WebSocket, data: Buffer, isBinary: boolean): void {
  transportOf(this).hear(data, isBinary);
}

function pinged(this: WebSocket): void {
  transportOf(this).answered();
}

function failed(this: WebSocket, error: Error): void {
  transportOf(this).fail(error);
}

let waiting: WebSocketTransport[] = [];
let empty = FrameBatch.empty();

function enlist(transport: WebSocketTransport): void {
  if (waiting.length === 0) setImmediate(flushAll);
  waiting.push(transport);
}

function flushAll(): void {
  const transports = waiting;
  waiting = [];
  for (const transport of transports) {
    try {
      transport.flush();
    } catch (error) {
      transport.fail(error as Error);
    }
  }
  // Let go of what was sent: the next turn begins a chain of its own.
  empty = FrameBatch.empty();
}
