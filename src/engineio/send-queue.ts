import type { SessionSocket, SessionTransport } from "./session.ts";

/** A transport that collects frames and writes them in batches. */
export type SendQueue = Required<Pick<SessionTransport, "push">>;

/**
 * The send queue of a socket, which takes frames directly and bypasses Engine.IO's packet bookkeeping.
 *
 * @returns undefined if bypassing is not safe and the packet must go through Engine.IO
 */
export function sendQueueOf(socket: SessionSocket): SendQueue | undefined {
  const transport = socket.transport as object as SessionTransport;
  if (transport.push === undefined || !transport.writable) return undefined;
  if (socket.readyState !== "open" || socket.writeBuffer.length > 0) return undefined;
  return transport.session?.observed || socket.server.observed ? undefined : (transport as SendQueue);
}
