import { Socket } from "engine.io";
import type { EngineSocket } from "./engine.ts";
import { type Data, frame, memoryOf } from "./frame.ts";
import { forgetSession, stockSendPacket, trim } from "./internals.ts";
import { OutboxTransport } from "./outbox.ts";
import { copyBytes } from "./pacer.ts";
import { ReducedRequest } from "./reduced-request.ts";

interface WriteOptions {
  wsPreEncodedFrame?: Buffer[];
}

/**
 * The outbox of a connection, for a frame to be put into it past Engine.IO's bookkeeping of packets.
 *
 * @returns undefined where that is not safe: the packet must then go through Engine.IO
 */
export function outboxOf(connection: EngineSocket): OutboxTransport | undefined {
  const { transport } = connection;
  if (!(transport instanceof OutboxTransport) || !transport.writable) return undefined;
  if (connection.readyState !== "open" || connection.writeBuffer.length > 0) return undefined;
  return connection.observed || connection.server.observed ? undefined : transport;
}

/** What an application may listen for to be told of each packet; where it does, each goes through Engine.IO. */
export const observing = new Set<string | symbol>(["packetCreate", "flush", "drain"]);

/**
 * Notes whether an application listens for what Engine.IO tells of each packet: asking at each is too dear, and a
 * listener of `newListener` too large. Node's `once` and `prependOnceListener` call these.
 */
function observe<Add extends (event: string | symbol, listener: () => void) => unknown>(add: Add) {
  return function (this: EngineSocket, event: string | symbol, listener: () => void): unknown {
    if (observing.has(event)) this.observed = true;
    return add.call(this, event, listener);
  };
}

/** Engine.IO's `sendPacket`, by the outbox where that is safe, and counted where it is not. */
function sendPacket(
  this: EngineSocket,
  type: string,
  data?: Data,
  options?: WriteOptions | (() => void),
  callback?: () => void,
): void {
  const given = typeof options === "function" ? undefined : options;
  if (type === "message") this.server.pacer.workBytes += copyBytes + lengthOf(data);
  if (type === "message" && typeof data === "string" && !callback && typeof options !== "function") {
    const outbox = outboxOf(this);
    if (outbox) {
      outbox.push(...(given?.wsPreEncodedFrame ?? [frame(`4${data}`)]));
      return;
    }
  }
  // Engine.IO drops what comes for a connection that is being closed.
  if (this.readyState !== "closing" && this.readyState !== "closed") {
    this.server.backlog.wait(this, bytesOf(data, given));
  }
  stockSendPacket.call(this, type, data, options, callback);
}

const lengthOf = (data: Data = "") => (typeof data === "string" ? data.length : data.byteLength);

function bytesOf(data: Data | undefined, options: WriteOptions | undefined): number {
  const [framed] = options?.wsPreEncodedFrame ?? [];
  return framed ? framed.length : memoryOf(data);
}

/** One listener for all, told who by `this`. */
function closed(this: EngineSocket, reason: string): void {
  forgetSession(this.server, this.id);
  this.server.onClose(this, reason);
}

/** Makes a session that Engine.IO has begun one of ours, before anybody else has to do with it. */
export function prepare(connection: EngineSocket): void {
  connection.server.newest = connection;
  trim(connection, "cleanupFn", "sentCallbackFn");
  connection.removeAllListeners("close");
  connection.on("close", closed);
  // As a prototype of theirs these would cost each connection 700 bytes: V8 would make a dictionary of it.
  Object.assign(connection, ours);
  connection.transport.connection = connection;
  const { request } = connection;
  connection.savedRequest = request instanceof ReducedRequest ? request : new ReducedRequest(request);
}

const { addListener, prependListener } = Socket.prototype;

/** What our sessions do otherwise than those of Engine.IO. */
const ours = {
  sendPacket,
  on: observe(addListener),
  addListener: observe(addListener),
  prependListener: observe(prependListener),
};
