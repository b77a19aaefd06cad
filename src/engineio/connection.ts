import { Socket } from "engine.io";
import { copyBytes } from "../limits/pacer.ts";
import { type Data, frame, memoryOf } from "./frame.ts";
import { forgetSession, stockSendPacket, trim } from "./internals.ts";
import { type EngineSocket, Session, type SessionTransport, sessionOf } from "./session.ts";

interface WriteOptions {
  wsPreEncodedFrame?: Buffer[];
}

/** A transport that collects frames. */
export type SendQueue = Required<Pick<SessionTransport, "push">>;

/**
 * The send queue of a connection, for a frame to be put into it past Engine.IO's bookkeeping of packets.
 *
 * @returns undefined where that is not safe: the packet must then go through Engine.IO
 */
export function sendQueueOf(connection: EngineSocket): SendQueue | undefined {
  const transport = connection.transport as object as SessionTransport;
  if (transport.push === undefined || !transport.writable) return undefined;
  if (connection.readyState !== "open" || connection.writeBuffer.length > 0) return undefined;
  return transport.session?.observed || connection.server.observed ? undefined : (transport as SendQueue);
}

/** What an application may listen for to be told of each packet; where it does, each goes through Engine.IO. */
export const observing = new Set<string | symbol>(["packetCreate", "flush", "drain"]);

/**
 * Notes whether an application listens for what Engine.IO tells of each packet: asking at each is too dear, and a
 * listener of `newListener` too large. Node's `once` and `prependOnceListener` call these.
 */
function observe<Add extends (event: string | symbol, listener: () => void) => unknown>(add: Add) {
  return function (this: EngineSocket, event: string | symbol, listener: () => void): unknown {
    if (observing.has(event)) sessionOf(this).observed = true;
    return add.call(this, event, listener);
  };
}

/** Engine.IO's `sendPacket`, by the send queue where that is safe, and counted where it is not. */
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
    const queue = sendQueueOf(this);
    if (queue) {
      queue.push(...(given?.wsPreEncodedFrame ?? [frame(`4${data}`)]));
      return;
    }
  }
  // Engine.IO drops what comes for a connection that is being closed.
  if (this.readyState !== "closing" && this.readyState !== "closed") {
    sessionOf(this).wait(bytesOf(data, given));
  }
  stockSendPacket.call(this, type, data, options, callback);
}

const lengthOf = (data: Data = "") => (typeof data === "string" ? data.length : data.byteLength);

function bytesOf(data: Data | undefined, options: WriteOptions | undefined): number {
  const [framed] = options?.wsPreEncodedFrame ?? [];
  return framed ? framed.length : memoryOf(data);
}

/** One listener for all connections, told which by `this`. */
function closed(this: EngineSocket, reason: string): void {
  forgetSession(this.server, this.id);
  this.server.onClose(sessionOf(this), reason);
}

/** Makes a connection that Engine.IO has begun one of ours, before anybody else has to do with it. */
export function prepare(connection: EngineSocket): Session {
  trim(connection, "cleanupFn", "sentCallbackFn");
  // As a prototype of theirs these would cost each connection 700 bytes: V8 would make a dictionary of it.
  Object.assign(connection, replaced);
  connection.removeAllListeners("close");
  connection.on("close", closed);
  return new Session(connection);
}

const { addListener, prependListener } = Socket.prototype;

/** What our connections do otherwise than those of Engine.IO. */
const replaced = {
  sendPacket,
  on: observe(addListener),
  addListener: observe(addListener),
  prependListener: observe(prependListener),
};
