import { PacketType } from "socket.io-parser";
import { trim } from "../engineio/internals.ts";
import { type DisconnectReason, disconnectReasons } from "../errors.ts";
import type { Dispatcher } from "../namespaces/dispatcher.ts";
import { type AcceptedHandshake, type ClientSession, Member } from "../namespaces/member.ts";
import type { Message, ServerEvents } from "../protocol.ts";
import type { Gateway } from "../rooms/connection.ts";
import type { Envelope } from "../rooms/envelope.ts";
import { LogEntry } from "../rooms/log.ts";
import { TurnCache } from "../rooms/turn-cache.ts";
import { broadcast, type Recipient } from "./broadcast.ts";
import { connectionIdOf } from "./connection-id.ts";
import { type EventReceiver, FastDecoder } from "./decoder.ts";
import type { EmptySessions } from "./empty-sessions.ts";
import { connectError, handshakeOf } from "./handshake.ts";
import type { ClientInternals, IOSocketInternals } from "./internals.ts";
import { OutgoingEvent } from "./outgoing.ts";
import { PendingConnects } from "./pending-connects.ts";
import type { SocketIOClient, SocketIONamespace } from "./server.ts";

/** A Socket.IO client on one of roomcast's namespaces. */
class SocketIOMember extends Member implements EventReceiver {
  readonly gateway: SocketIOGateway;
  readonly socket: SocketIOClient;

  constructor(
    gateway: SocketIOGateway,
    socket: SocketIOClient,
    session: ClientSession,
    accepted: AcceptedHandshake,
  ) {
    super(session, accepted);
    this.gateway = gateway;
    this.socket = socket;
  }

  get transport(): string {
    return this.socket.conn.transport.name;
  }

  get protocol(): number {
    return this.socket.conn.protocol;
  }

  get namespace(): string {
    return this.socket.nsp.name;
  }

  receive(args: unknown[], ackId: number | undefined): boolean {
    const { fns, _anyListeners: listeners } = this.socket as unknown as IOSocketInternals;
    // The gateway's own middleware is the first; any other is the application's.
    if (fns.length > 1 || listeners?.length) return false;
    const ack = ackId === undefined ? undefined : (reply: unknown) => this.#acknowledge(ackId, reply);
    this.gateway.dispatch(this, args, ack);
    return true;
  }

  #acknowledge(id: number, reply: unknown): void {
    const { conn } = this.socket;
    if (conn.readyState === "open") conn.write(`${this.gateway.ackPrefix}${id}${JSON.stringify([reply])}`);
  }

  send<Event extends keyof ServerEvents>(event: Event, ...args: Parameters<ServerEvents[Event]>): void {
    this.socket.emit(event, ...args);
  }

  whisper(message: Message): void {
    const { id, nsp, conn } = this.socket;
    const emit = this.socket.emit as (event: string, message: Message) => boolean;
    emit.call(this.socket, id, message);
    // 1.x clients know themselves by the id of their session, without the namespace.
    if (conn.protocol === 3 && nsp.name !== "/") emit.call(this.socket, id.replace(/^.*#/, ""), message);
  }

  close(reason: DisconnectReason): void {
    this.closing = reason;
    if (disconnectReasons[reason].reconnects) this.session.close(reason);
    else this.socket.disconnect();
  }
}

/** The options of a {@link SocketIOGateway}. */
export interface GatewayOptions {
  sessionOf(socket: SocketIOClient): ClientSession;
  /** Whether the server is shutting down; sessions that it closes then have no other reason. */
  isShuttingDown(): boolean;
  /** Called with what a listener of an application has thrown. */
  onFault(error: unknown): void;
  /** Tracks clients that left a namespace or were refused by it. */
  empty: Pick<EmptySessions, "left" | "refused">;
}

/**
 * Passes handshakes and events of one Socket.IO namespace to its dispatcher, and delivers messages to its
 * clients.
 */
export class SocketIOGateway implements Gateway {
  /** The packet type and namespace of an ack. */
  readonly ackPrefix: string;
  /** The packet type and namespace of an event. */
  readonly #prefix: string;
  readonly #dispatcher: Dispatcher;
  readonly #options: GatewayOptions;
  /** Admitted clients whose socket is not connected yet. */
  readonly #admissions = new WeakMap<SocketIOClient, AcceptedHandshake>();
  readonly #pending = new PendingConnects();
  /**
   * Clients that reconnect together are sent the same messages: each is encoded once, and as they are the same frames,
   * the send queues share one buffer.
   */
  readonly #replayed = new TurnCache<LogEntry, OutgoingEvent>();

  constructor(nsp: SocketIONamespace, dispatcher: Dispatcher, options: GatewayOptions) {
    const address = nsp.name === "/" ? "" : `${nsp.name},`;
    this.ackPrefix = `${PacketType.ACK}${address}`;
    this.#prefix = `${PacketType.EVENT}${address}`;
    this.#dispatcher = dispatcher;
    this.#options = options;
    nsp.use((socket, next) => this.#admit(socket, next));
    nsp.on("connection", (socket) => this.#connect(socket));
  }

  deliver(members: readonly SocketIOMember[], event: Envelope): void {
    try {
      const isReplay = members.length === 1 && event instanceof LogEntry;
      const outgoing = isReplay ? this.#outgoingReplay(event) : new OutgoingEvent(this.#prefix, event);
      broadcast(outgoing, members as unknown as readonly Recipient[]);
    } catch (error) {
      this.#options.onFault(error);
    }
  }

  #outgoingReplay(entry: LogEntry): OutgoingEvent {
    return this.#replayed.get(entry, () => new OutgoingEvent(this.#prefix, entry));
  }

  #admit(socket: SocketIOClient, next: (error?: Error) => void): void {
    if (!this.#pending.begin(socket, next)) return;
    this.#dispatcher.admit(
      this.#options.sessionOf(socket),
      connectionIdOf(socket),
      () => handshakeOf(socket),
      (admission) => {
        this.#admissions.set(socket, admission);
        // No longer needed. Socket.IO would keep it, however large, as long as the connection.
        socket.handshake.auth = {};
        next();
        this.#pending.admitted(socket);
      },
      (error) => {
        this.#pending.refused(socket);
        this.#options.empty.refused(socket);
        next(connectError(error));
      },
    );
  }

  #connect(socket: SocketIOClient): void {
    const admission = this.#admissions.get(socket) as AcceptedHandshake;
    this.#admissions.delete(socket);
    const member = new SocketIOMember(this, socket, this.#options.sessionOf(socket), admission);
    // Middleware receives the packet as an array. A listener would receive the arguments on the stack, and
    // 40,000 of them overflow it.
    socket.use((packet) => {
      const last = packet[packet.length - 1];
      const ack = typeof last === "function" ? (packet.pop() as (reply: unknown) => void) : undefined;
      this.dispatch(member, packet, ack);
    });
    trim(socket as unknown as IOSocketInternals, "fns");
    socket.on("disconnect", (reason) => this.#disconnect(member, reason));
    decoderOf(socket)?.addReceiver(member);
    const { transport, protocol } = member;
    this.#dispatcher.connect(member, admission, { transport, protocol });
  }

  /** @param args the event's name, followed by its arguments */
  dispatch(member: SocketIOMember, args: unknown[], ack: ((reply: unknown) => void) | undefined): void {
    if (member.socket.conn.readyState !== "open") return;
    const event = args.shift();
    this.#dispatcher.dispatch(member, { event, args, ack });
  }

  #disconnect(member: SocketIOMember, reason: string): void {
    const { socket } = member;
    decoderOf(socket)?.removeReceiver(member.namespace);
    const seconds = Math.round((Date.now() - socket.handshake.issued) / 100) / 10;
    this.#dispatcher.disconnect(member, this.#reasonOf(reason), seconds);
    this.#options.empty.left(socket);
  }

  #reasonOf(reason: string): string {
    return reason === "forced close" && this.#options.isShuttingDown() ? "server shutting down" : reason;
  }
}

/** The decoder of a client; undefined on Socket.IO's stock engine, on which the tests also run. */
function decoderOf({ client }: SocketIOClient): FastDecoder | undefined {
  const { decoder } = client as unknown as ClientInternals;
  return decoder instanceof FastDecoder ? decoder : undefined;
}
