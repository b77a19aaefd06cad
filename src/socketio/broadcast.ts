import type { Adapter } from "socket.io-adapter";
import { ownMemory } from "../engineio/frame.ts";
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

/** A packet for many sockets, encoded and framed once. */
export interface Outgoing {
  readonly packet: Packet;
  /** The packet as Socket.IO encodes it. */
  readonly text: string;
  /** The packet as a WebSocket frame. */
  readonly framed: Buffer;
  /** Whether it is dropped for clients that are backed up. */
  readonly isTransient?: boolean;
}

/**
 * Sends a packet to many sockets, directly into their send queues where that is safe. Each copy is charged to the
 * connection whose event is being handled. Throws, after all copies were sent, what an application's listener for
 * outgoing packets has thrown.
 *
 * @param isRecipient asked for each recipient before it is sent its copy: a listener for outgoing packets may have
 * changed who is one
 */
export function broadcast(
  { packet, text, framed, isTransient }: Outgoing,
  recipients: readonly Recipient[],
  isRecipient?: (socket: FastSocket) => boolean,
): void {
  const encoded = [text];
  let preEncoded: { wsPreEncodedFrame: Buffer[] } | undefined;
  let failure: { error: unknown } | undefined;
  // Socket.IO's stock engine, on which the tests also run, has no pacer.
  const pacer = recipients[0]?.socket.client.conn.server.pacer as Shared["pacer"] | undefined;
  const workBytes = (pacer?.workBytes ?? 0) + recipients.length * (framed.length + copyBytes);
  for (const { socket } of recipients) {
    if (isRecipient?.(socket) === false) continue;
    const { client } = socket;
    if (isTransient && isBackedUp(client.conn)) continue;
    if (socket._anyOutgoingListeners?.length) {
      const thrown = notify(socket, packet);
      failure ??= thrown;
    }
    const queue = sendQueueOf(client.conn);
    if (queue) queue.push(framed);
    else if (client.conn.transport.name === "polling") client.writeToEngine(encoded, {});
    else {
      preEncoded ??= { wsPreEncodedFrame: [ownMemory(framed)] };
      client.writeToEngine(encoded, preEncoded);
    }
  }
  if (pacer) {
    pacer.workBytes = workBytes;
    pacer.messageBytes += framed.length;
  }
  if (failure) throw failure.error;
}

/** Calls an application's listeners. @returns what they have thrown, which must not keep the packet from others */
function notify(socket: FastSocket, packet: Packet): { error: unknown } | undefined {
  try {
    socket.notifyOutgoingListeners(packet);
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** A session of the stock engine only tells whether it can be written to. */
const isBackedUp = ({ session, transport }: Partial<SessionSocket>) =>
  session ? session.isBackedUp : transport?.writable === false;
