import type { Adapter } from "socket.io-adapter";
import { frame, ownMemory } from "../engineio/frame.ts";
import { sendQueueOf } from "../engineio/send-queue.ts";
import type { SessionSocket, Shared } from "../engineio/session.ts";
import { copyBytes } from "../limits/pacer.ts";
import type { IOSocketInternals } from "./internals.ts";

/** A packet as the adapter broadcasts it. */
export type Packet = Parameters<Adapter["broadcast"]>[0];

/** A socket whose connection belongs to roomcast's engine. */
export type FastSocket = IOSocketInternals & { client: { conn: SessionSocket } };

/** A member of a room that is reached through a socket. */
export interface Recipient {
  readonly socket: FastSocket;
}

/**
 * Sends a packet to many sockets. It is encoded and framed once, and put directly into their send queues if that is
 * safe. Each copy is charged to the connection whose event is being handled.
 *
 * @param text the packet as Socket.IO encodes it
 * @param isRecipient asked for each recipient before it is sent its copy: a listener for outgoing packets may have
 * changed who is one
 */
export function broadcast(
  packet: Packet,
  text: string,
  recipients: readonly Recipient[],
  isRecipient?: (socket: FastSocket) => boolean,
): void {
  const encoded = [text];
  const framed = frame(`4${text}`);
  let preEncoded: { wsPreEncodedFrame: Buffer[] } | undefined;
  // Socket.IO's stock engine, on which the tests also run, has no pacer.
  const pacer = recipients[0]?.socket.client.conn.server.pacer as Shared["pacer"] | undefined;
  const workBytes = (pacer?.workBytes ?? 0) + recipients.length * (framed.length + copyBytes);
  for (const { socket } of recipients) {
    if (isRecipient?.(socket) === false) continue;
    socket.notifyOutgoingListeners(packet);
    const { client } = socket;
    const queue = sendQueueOf(client.conn);
    if (queue) queue.push(framed);
    else if (client.conn.transport.name === "polling") client.writeToEngine(encoded, {});
    else {
      preEncoded ??= { wsPreEncodedFrame: [ownMemory(framed)] };
      client.writeToEngine(encoded, preEncoded);
    }
  }
  if (!pacer) return;
  pacer.workBytes = workBytes;
  pacer.spokenBytes += framed.length;
}
