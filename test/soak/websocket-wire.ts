import { once } from "node:events";
import { type ClientOptions, WebSocket } from "ws";
import type { Ledger } from "./ledger.ts";
import { Wire } from "./wire.ts";

/** A cheap WebSocket client that speaks Engine.IO by hand. */
export class WebSocketWire extends Wire {
  readonly ws: WebSocket;

  constructor(ledger: Ledger, url: string, options: ClientOptions = {}) {
    super(ledger);
    const address = `${url.replace("http", "ws")}&EIO=4&transport=websocket`;
    this.ws = new WebSocket(address, { perMessageDeflate: false, ...options });
    this.ws.on("error", () => {});
    this.ws.on("message", (data: Buffer) => {
      ledger.read(framedBytes(data.length));
      this.hear(data.toString());
    });
    this.ws.on("close", (code, reason) => this.gone({ code, reason: reason.toString() }));
  }

  /** Resolves when it is open. */
  static async open(ledger: Ledger, url: string): Promise<WebSocketWire> {
    const wire = new WebSocketWire(ledger, url);
    await once(wire.ws, "open");
    return wire;
  }

  override send(packet: string, isUnsure = false): void {
    // Only that of one frame: the closing of a WebSocket is no packet.
    if (this.ws.readyState !== WebSocket.OPEN) return;
    const bytes = Buffer.byteLength(packet);
    this.ledger.wrote(bytes, isUnsure ? bytes : 0);
    this.ws.send(packet);
  }

  override close(): void {
    this.ledger.unread();
    this.ws.close();
  }

  /** Goes without a word. */
  drop(): void {
    this.ledger.unread();
    this.ws.terminate();
  }

  /** Reads no more. */
  pause(): void {
    this.ws.pause();
  }

  resume(): void {
    this.ws.resume();
  }
}

/** What a server's frame takes for so much payload (RFC 6455, 5.2). */
const framedBytes = (length: number): number => length + (length < 126 ? 2 : length < 65_536 ? 4 : 10);
