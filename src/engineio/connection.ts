import { Socket } from "engine.io";
import { copyBytes } from "../limits/pacer.ts";
import { type Data, frame, memoryOf } from "./frame.ts";
import { forgetSession, stockSendPacket, trim } from "./internals.ts";
import { type EngineSocket, Session, type SessionTransport, sessionOf } from "./session.ts";

interface WriteOptions {
  wsPreEncodedFrame?: Buffer[];
}

/** A transport that collects frames and writes them in batches. */
export type SendQueue = Required<Pick<SessionTransport, "push">>;

/**
 * The send queue of a connection, which takes frames directly and bypasses Engine.IO's packet bookkeeping.
 *
 * @returns undefined if bypassing is not safe and the packet must go through Engine.IO
 */
export function sendQueueOf(connection: EngineSocket): SendQueue | undefined {
  const transport = connection.transport as object as SessionTransport;
  if (transport.push === undefined || !transport.writable) return undefined;
  if (connection.readyState !== "open" || connection.writeBuffer.length > 0) return undefined;
  return transport.session?.observed || connection.server.observed ? undefined : (transport as SendQueue);
}

/** Engine.IO's per-packet events. If an application listens for one, every packet goes through Engine.IO. */
export const observing = new Set<string | symbol>(["packetCreate", "flush", "drain"]);

/**
 * Wraps a method that adds listeners, to record whether an application listens for an {@link observing}
 * event. Counting listeners for each packet would be too slow, and a `newListener` listener per connection
 * would take too much memory. Node's `once` and `prependOnceListener` call the wrapped methods.
 */
function observe<Add extends (event: string | symbol, listener: () => void) => unknown>(add: Add) {
  return function (this: EngineSocket, event: string | symbol, listener: () => void): unknown {
    if (observing.has(event)) sessionOf(this).observed = true;
    return add.call(this, event, listener);
  };
}

/** Replaces Engine.IO's `sendPacket`: uses the send queue if safe, and otherwise counts the packet. */
function sendPacket(
  this: EngineSocket,
  type: string,
  data?: Data,
  options?: WriteOptions | (() => void),
  callback?: () => void,
): void {
  const writeOptions = typeof options === "function" ? undefined : options;
  if (type === "message") this.server.pacer.workBytes += copyBytes + lengthOf(data);
  if (type === "message" && typeof data === "string" && !callback && typeof options !== "function") {
    const queue = sendQueueOf(this);
    if (queue) {
      queue.push(...(writeOptions?.wsPreEncodedFrame ?? [frame(`4${data}`)]));
      return;
    }
  }
  // Engine.IO drops packets for a connection that is closing.
  if (this.readyState !== "closing" && this.readyState !== "closed") {
    sessionOf(this).wait(bytesOf(data, writeOptions));
  }
  stockSendPacket.call(this, type, data, options, callback);
}

const lengthOf = (data: Data = "") => (typeof data === "string" ? data.length : data.byteLength);

function bytesOf(data: Data | undefined, options: WriteOptions | undefined): number {
  const [framed] = options?.wsPreEncodedFrame ?? [];
  return framed ? framed.length : memoryOf(data);
}

/** One listener for all connections: `this` is the connection that has closed. */
function onClose(this: EngineSocket, reason: string): void {
  forgetSession(this.server, this.id);
  this.server.onClose(sessionOf(this), reason);
}

/** Adds a session and the overrides to a new Engine.IO connection, before any other code sees it. */
export function prepare(connection: EngineSocket): Session {
  trim(connection, "cleanupFn", "sentCallbackFn");
  // Assigned, not set as a prototype: V8 would turn each connection into a dictionary, which costs 700 bytes.
  Object.assign(connection, overrides);
  connection.removeAllListeners("close");
  connection.on("close", onClose);
  return new Session(connection);
}

const { addListener, prependListener } = Socket.prototype;

/** The methods that differ from those of Engine.IO's own connections. */
const overrides = {
  sendPacket,
  on: observe(addListener),
  addListener: observe(addListener),
  prependListener: observe(prependListener),
};
