import type { Socket as TcpSocket } from "node:net";
import { nextTick } from "node:process";
import { Transport } from "engine.io";
import { cutOff, type DisconnectReason, disconnectReasons } from "../errors.ts";
import { type Backlog, writeBatch } from "./backlog.ts";
import { startBatch } from "./flush-schedule.ts";
import { frame } from "./frame.ts";
import type { FrameBatch } from "./frame-batch.ts";
import type { EngineRequest, InboundPacket, TransportPacket } from "./internals.ts";
import type { Session, SessionTransport } from "./session.ts";
import { attachTransport, type BoundedWebSocket } from "./websocket-server.ts";

/** How long a client has to answer the close of its connection, in milliseconds. */
const closeTimeoutMs = 1_000;

/** The most bytes that may wait in a WebSocket that is still probing for an upgrade. */
const maxProbeBytes = 65_536;

/** The error codes of `ws` for messages beyond a limit, with the reason to end their session. */
const endingErrors: Record<string, DisconnectReason> = {
  WS_ERR_TOO_MANY_BUFFERED_PARTS: "unfinished packet",
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: "packet too large",
};

/**
 * Engine.IO's WebSocket transport with a send queue: it collects frames and writes them together at the end
 * of the event loop turn in which they were sent. Transports that collected the same frames share one buffer.
 *
 * The transport is writable unless the connection is backed up. Until the socket has drained, Engine.IO
 * buffers further packets, and volatile packets are dropped.
 */
export class WebSocketTransport extends Transport implements SessionTransport {
  readonly socket: BoundedWebSocket;
  /** The TCP connection under the WebSocket. Batches are written straight to it. */
  readonly tcp: TcpSocket;
  /** The session that owns the transport or may upgrade to it; undefined until the handshake completes. */
  session: Session | undefined;
  /** The reason sent in the close frame. If unset, the close frame has no code or reason. */
  declare closeReason?: DisconnectReason;
  /** The frames collected in this turn. */
  #batch: FrameBatch | undefined;
  /** Number of `send` calls in the send queue. Engine.IO waits for one `drain` event per call. */
  #sends = 0;
  /** Undefined unless the connection is backed up. */
  #backlog: Backlog | undefined;

  constructor(request: EngineRequest) {
    super(request);
    this.socket = request.websocket as BoundedWebSocket;
    this.tcp = request.socket;
    attachTransport(this.socket, this);
    this.writable = true;
  }

  /** The session, if this is its current transport. */
  get #owner(): Session | undefined {
    return this.session?.transport === this ? this.session : undefined;
  }

  get isGone(): boolean {
    return this.tcp.destroyed;
  }

  pause(): void {
    this.socket.incoming.pause();
  }

  resume(): void {
    this.socket.incoming.resume();
  }

  charge(bytes: number): void {
    this.socket.incoming.charge(bytes);
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

  /** Adds a frame, in one part or several, to the batch written at the end of this turn. */
  push(...parts: Buffer[]): void {
    let batch = this.#batch ?? startBatch(this);
    for (const part of parts) batch = batch.with(part);
    this.#batch = batch;
    // In a long turn, too, a connection must not collect more than may wait for it.
    if (this.session && batch.size > this.session.shared.maxBatchBytes) this.flush();
  }

  /** Writes the collected frames. */
  flush(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    const sends = this.#sends;
    this.#sends = 0;
    if (this.socket.readyState !== this.socket.OPEN || !this.tcp.writable) return;
    if (this.session) this.session.shared.traffic.bytesOut += batch.size;
    if (this.#backlog) {
      this.#backlog.add(batch, sends);
      if (this.#writeBacklog()) return;
    } else if (this.#write(batch, sends)) return;
    this.#waitForDrain();
    const owner = this.#owner;
    if (owner) owner.shared.slowConsumers.queued(owner, batch.size);
    // Still probing: Engine.IO answers pings even if the client does not read.
    else if (this.unreadBytes > maxProbeBytes) this.socket.terminate();
  }

  /** @returns false if the kernel refused a piece */
  #write(batch: FrameBatch, sends: number): boolean {
    this.#backlog = writeBatch(this.tcp, batch, sends);
    if (this.#backlog) return false;
    if (sends > 0) nextTick(emitDrains, this, sends);
    return true;
  }

  /** @returns false if the kernel refused a piece */
  #writeBacklog(): boolean {
    const backlog = this.#backlog as Backlog;
    if (!backlog.writeTo(this.tcp)) return false;
    this.#backlog = undefined;
    if (backlog.sends > 0) nextTick(emitDrains, this, backlog.sends);
    return true;
  }

  get unreadBytes(): number {
    return this.tcp.writableLength + (this.#backlog?.bytes ?? 0);
  }

  /** Writes the collected frames and closes the WebSocket; cuts off a client that does not answer in time. */
  doClose(done?: () => void): void {
    this.flush();
    // The close frame must follow the backlog.
    while (this.#backlog && this.tcp.writable && !this.#writeBacklog());
    // The client's close frame would not be read on a paused connection.
    this.resume();
    const reason = this.closeReason;
    if (reason) this.socket.close(disconnectReasons[reason].code, reason);
    else this.socket.close();
    const timeout = setTimeout(() => this.socket.terminate(), closeTimeoutMs);
    this.socket.once("close", () => clearTimeout(timeout));
    done?.();
  }

  end(reason: DisconnectReason): void {
    if (disconnectReasons[reason].code === cutOff) this.socket.terminate();
    else this.closeReason = reason;
  }

  admits(frames: number): boolean {
    this.session?.shared.packets.admits(this.session, frames);
    return this.session !== undefined;
  }

  refuseUnfinished(): void {
    const owner = this.#owner;
    if (owner) owner.close("unfinished packet");
    // Still probing for an upgrade.
    else this.socket.terminate();
  }

  receive(data: Buffer, isBinary: boolean): void {
    const { session } = this;
    if (session) {
      session.shared.traffic.bytesIn += data.length;
      if (session.ending) return;
    }
    this.onData(isBinary ? data : data.toString());
  }

  /** `ws` answers each ping. For a client that sends pings but does not read, the pongs would pile up. */
  checkPongs(): void {
    const unread = this.tcp.writableLength - (this.#backlog?.lastBytes ?? 0);
    if (this.session && unread > this.session.shared.maxBatchBytes) this.session.close("slow consumer");
  }

  fail(error: Error & { code?: string }): void {
    const owner = this.#owner;
    const reason = endingErrors[error.code ?? ""];
    if (owner && reason) owner.close(reason);
    else this.onError("websocket error", error);
  }

  /** Called by Engine.IO too. On a session's current transport, packets wait their turn. */
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

  /** Listens only while the connection is backed up: most never are. */
  #waitForDrain(): void {
    if (!this.writable) return;
    this.writable = false;
    const onDrain = () => {
      const isWritten = !this.#backlog || this.#writeBacklog();
      const owner = this.#owner;
      if (owner) owner.shared.slowConsumers.read(owner);
      if (!isWritten) return;
      this.tcp.off("drain", onDrain);
      this.writable = true;
      this.emit("ready");
    };
    this.tcp.on("drain", onDrain);
  }
}

function emitDrains(transport: WebSocketTransport, sends: number): void {
  for (let n = 0; n < sends; n++) transport.emit("drain");
}
