import { once } from "node:events";
import { io, type Socket } from "socket.io-client";
import type { Message, NamespaceName } from "../../src/protocol.ts";
import { Deferred, within } from "../support/deferred.ts";
import { Client, type Reply } from "./clients.ts";
import type { ExpectedCounts } from "./expected-counts.ts";

/** How a real client connects. */
export interface RealClientOptions {
  namespace: NamespaceName;
  userId: string;
  room: string[];
  transports: ("polling" | "websocket")[];
  reconnection?: boolean;
}

/** A socket.io-client. */
export class RealClient extends Client {
  readonly socket: Socket;
  /** Whether the server might never read what the client sends now. */
  isUncertain = false;
  #disconnected = new Deferred();
  #connected = new Deferred();

  constructor(counts: ExpectedCounts, url: string, options: RealClientOptions) {
    const { namespace, userId, room, transports, reconnection = false } = options;
    super(counts, namespace, userId);
    this.socket = io(url + (namespace === "/" ? "" : namespace), {
      ...{ forceNew: true, transports, auth: { userId, room } },
      ...{ reconnection, reconnectionDelay: 100, reconnectionDelayMax: 1_000 },
    });
    this.#countTraffic();
    this.socket.io.on("reconnect", () => this.#countTraffic());
    this.socket.on("res", (message) => this.#hear(message));
    this.socket.on("connect_error", (error) => this.#connected.reject(error));
    this.socket.on("disconnect", (reason) => {
      if (reason === "io server disconnect") this.#disconnected.resolve();
      else this.#disconnected.reject(new Error(reason));
    });
  }

  override get disconnected(): Promise<void> {
    return this.#disconnected.promise;
  }

  /** Resolves when it has connected, the first time or again. */
  async connected(): Promise<this> {
    await within("connected!", this.#connected.promise);
    this.counts.connected(this.namespace);
    this.#connected = new Deferred();
    this.#disconnected = new Deferred();
    return this;
  }

  /** Resolves when it has upgraded to a WebSocket. */
  async upgraded(): Promise<void> {
    const { engine } = this.socket.io;
    if (engine.transport.name === "websocket") return;
    await within("an upgrade", once(engine as never as NodeJS.EventEmitter, "upgrade"));
  }

  override disconnect(): void {
    this.socket.disconnect();
  }

  override close(): void {
    this.socket.io.engine.close();
  }

  protected override async emit(event: string, args: unknown[]): Promise<Reply> {
    return this.answered(event, await this.socket.emitWithAck(event, ...args));
  }

  #hear(message: Message): void {
    if (message.text === "connected!") this.#connected.resolve();
    else {
      this.counts.heard();
      this.onMessage?.(message);
    }
  }

  /** Counts the bytes of its packets; the bytes around them differ between transports. */
  #countTraffic(): void {
    const { engine } = this.socket.io;
    const bytes = (data: unknown) => (typeof data === "string" ? Buffer.byteLength(data) : 0) + 1;
    const [mostAround, probes] = [10, 1_000];
    engine.on("packet", ({ type, data }) => {
      this.counts.read(bytes(data) + mostAround, type === "open" ? bytes(data) + mostAround : mostAround);
    });
    engine.on("packetCreate", ({ type, data }) => {
      this.counts.wrote(bytes(data) + 1, type === "pong" || this.isUncertain ? bytes(data) + 1 : 1);
    });
    engine.once("close", () => this.counts.unread());
    this.counts.wrote(probes, probes);
  }
}
