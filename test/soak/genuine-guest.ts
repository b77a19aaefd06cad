import { once } from "node:events";
import { io, type Socket } from "socket.io-client";
import type { ErrorCode } from "../../src/errors.ts";
import type { Message, NamespaceName } from "../../src/protocol.ts";
import { type Guest, type Reply, replyOf } from "./guest.ts";
import type { Ledger } from "./ledger.ts";
import type { Room } from "./room.ts";
import { Deferred, within } from "./waiting.ts";

type Engine = Socket["io"]["engine"];

/** How a genuine client is to connect. */
export interface Coming {
  url: string;
  namespace: NamespaceName;
  userId: string;
  room: string[];
  transports: ("polling" | "websocket")[];
  /** Comes back by itself when the server has ended it. */
  comesBack?: boolean;
}

/** A real socket.io-client. */
export class GenuineGuest implements Guest {
  readonly namespace: NamespaceName;
  readonly userId: string;
  readonly rooms = new Set<Room>();
  onMessage: ((message: Message) => void) | undefined;
  readonly socket: Socket;
  /** What it writes now, the server may not come to read. */
  isUnsure = false;
  readonly #ledger: Ledger;
  #dismissed = new Deferred();
  #welcomed = new Deferred();

  constructor(ledger: Ledger, { url, namespace, userId, room, transports, comesBack = false }: Coming) {
    this.namespace = namespace;
    this.userId = userId;
    this.#ledger = ledger;
    this.socket = io(url + (namespace === "/" ? "" : namespace), {
      ...{ forceNew: true, transports, auth: { userId, room } },
      ...{ reconnection: comesBack, reconnectionDelay: 100, reconnectionDelayMax: 1_000 },
    });
    this.#weigh(this.socket.io.engine);
    this.socket.io.on("reconnect", () => this.#weigh(this.socket.io.engine));
    this.socket.on("res", (message) => this.#hear(message));
    this.socket.on("connect_error", (error) => this.#welcomed.reject(error));
    this.socket.on("disconnect", (reason) => this.#lose(reason));
  }

  get dismissed(): Promise<void> {
    return this.#dismissed.promise;
  }

  /** Resolves when it has connected, the first time or again. */
  async connected(): Promise<this> {
    await within("connected!", this.#welcomed.promise);
    this.#ledger.connected(this.namespace);
    this.#welcomed = new Deferred();
    this.#dismissed = new Deferred();
    return this;
  }

  async ask(event: string, ...args: unknown[]): Promise<Reply> {
    const reply = replyOf(await within(`the ack of ${event}`, this.socket.emitWithAck(event, ...args)));
    this.#ledger.answered(this.namespace, event, (reply.error?.code as ErrorCode) ?? "ok");
    return reply;
  }

  /** Resolves when it has upgraded to a WebSocket. */
  async upgraded(): Promise<void> {
    const { engine } = this.socket.io;
    if (engine.transport.name !== "websocket") {
      await within("an upgrade", once(engine as never as NodeJS.EventEmitter, "upgrade"));
    }
  }

  disconnect(): void {
    this.socket.disconnect();
  }

  close(): void {
    this.socket.io.engine.close();
  }

  #hear(message: Message): void {
    if (message.text === "connected!") {
      this.#welcomed.resolve();
      return;
    }
    this.#ledger.heard();
    this.onMessage?.(message);
  }

  #lose(reason: string): void {
    if (reason === "io server disconnect") this.#dismissed.resolve();
    else this.#dismissed.reject(new Error(reason));
  }

  /** Notes what its packets weigh; what is around them differs between transports. */
  #weigh(engine: Engine): void {
    const bytes = (data: unknown) => (typeof data === "string" ? Buffer.byteLength(data) : 0) + 1;
    const [mostAround, probes] = [10, 1_000];
    engine.on("packet", ({ type, data }) => {
      const isUnsure = type === "open";
      this.#ledger.read(bytes(data) + mostAround, isUnsure ? bytes(data) + mostAround : mostAround);
    });
    engine.on("packetCreate", ({ type, data }) => {
      this.#ledger.wrote(bytes(data) + 1, type === "pong" || this.isUnsure ? bytes(data) + 1 : 1);
    });
    engine.once("close", () => this.#ledger.unread());
    this.#ledger.wrote(probes, probes);
  }
}
