import type { Transport } from "engine.io";
import { copyBytes } from "../limits/pacer.ts";
import { type Data, frame, memoryOf } from "./frame.ts";
import { type EngineRequest, forgetSession, type SendOptions, StockSocket, trim } from "./internals.ts";
import { sendQueueOf } from "./send-queue.ts";
import { Session, type SessionSocket, type Shared } from "./session.ts";

/** Engine.IO's per-packet events. If an application listens for one, every packet goes through Engine.IO. */
export const packetEvents = new Set<string | symbol>(["packetCreate", "flush", "drain"]);

type Listener = (...args: unknown[]) => void;

/** Engine.IO's socket with a session, whose packets go straight into the send queue if that is safe. */
export class EngineSocket extends StockSocket implements SessionSocket {
  declare readonly server: Shared;
  readonly session: Session;

  constructor(id: string, engine: Shared, transport: Transport, request: EngineRequest, protocol: number) {
    super(id, engine, transport, request, protocol);
    trim(this, "cleanupFn", "sentCallbackFn");
    super.on("close", onClose);
    this.session = new Session(this);
  }

  /** Uses the send queue if safe, and otherwise counts the packet. */
  override sendPacket(
    type: string,
    data?: Data,
    options?: SendOptions | (() => void),
    callback?: () => void,
  ): void {
    const writeOptions = typeof options === "function" ? undefined : options;
    if (type === "message") {
      this.server.pacer.workBytes += copyBytes + lengthOf(data);
      if (typeof data === "string" && !callback && typeof options !== "function") {
        const queue = sendQueueOf(this);
        if (queue) {
          queue.push(...(writeOptions?.wsPreEncodedFrame ?? [frame(`4${data}`)]));
          return;
        }
      }
    }
    // Engine.IO's constructor sends the first packet, before there is a session, and Engine.IO drops packets for a
    // socket that is closing.
    if (this.session && this.readyState !== "closing" && this.readyState !== "closed") {
      this.session.wait(bytesOf(data, writeOptions));
    }
    const content = type === "open" ? openPacket(data as string, this.server.nodeId) : data;
    super.sendPacket(type, content, options, callback);
  }

  // These record whether an application listens for an event of each packet. Counting listeners for each packet would
  // be too slow, and a `newListener` listener per socket would take too much memory. Node's `once` and
  // `prependOnceListener` call these methods.

  override on(event: string | symbol, listener: Listener): this {
    observe(this, event);
    return super.on(event, listener);
  }

  override addListener(event: string | symbol, listener: Listener): this {
    observe(this, event);
    return super.addListener(event, listener);
  }

  override prependListener(event: string | symbol, listener: Listener): this {
    observe(this, event);
    return super.prependListener(event, listener);
  }
}

function observe(socket: EngineSocket, event: string | symbol): void {
  if (packetEvents.has(event)) socket.session.observed = true;
}

/** Adds the field `node` to Engine.IO's open packet. Clients ignore fields that they do not know. */
const openPacket = (json: string, nodeId: (() => string) | undefined): string =>
  nodeId ? JSON.stringify({ ...JSON.parse(json), node: nodeId() }) : json;

const lengthOf = (data: Data = "") => (typeof data === "string" ? data.length : data.byteLength);

function bytesOf(data: Data | undefined, options: SendOptions | undefined): number {
  const [framed] = options?.wsPreEncodedFrame ?? [];
  return framed ? framed.length : memoryOf(data);
}

/** One listener for all sockets: `this` is the socket that has closed. */
function onClose(this: EngineSocket, reason: string): void {
  forgetSession(this.server, this.id);
  this.server.onClose(this.session, reason);
}
