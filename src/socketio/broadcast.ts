import type { Adapter } from "socket.io-adapter";
import { sendQueueOf } from "../engineio/connection.ts";
import { frame, ownMemory } from "../engineio/frame.ts";
import type { EngineSocket, Shared } from "../engineio/session.ts";
import { copyBytes } from "../limits/pacer.ts";
import type { IOSocketInternals } from "./internals.ts";

/** A packet as the adapter broadcasts it. */
export type Packet = Parameters<Adapter["broadcast"]>[0];

/** A socket whose connection belongs to roomcast's engine. */
export type FastSocket = IOSocketInternals & { client: { conn: EngineSocket } };

/**
 * A packet for many sockets. It is encoded and framed once, and put directly into their send queues if that
 * is safe.
 */
export class Broadcast {
  readonly #packet: Packet;
  readonly #encoded: string[];
  readonly #frame: Buffer;
  #preEncoded: { wsPreEncodedFrame: Buffer[] } | undefined;
  #copies = 0;
  #pacer: Shared["pacer"] | undefined;
  #workBytes = 0;

  /** @param text the packet as Socket.IO encodes it */
  constructor(packet: Packet, text: string) {
    this.#packet = packet;
    this.#encoded = [text];
    this.#frame = frame(`4${text}`);
  }

  sendTo(socket: FastSocket): void {
    const { client } = socket;
    if (this.#copies++ === 0) this.#begin(client.conn);
    socket.notifyOutgoingListeners(this.#packet);
    const queue = sendQueueOf(client.conn);
    if (queue) queue.push(this.#frame);
    else if (client.conn.transport.name === "polling") client.writeToEngine(this.#encoded, {});
    else {
      this.#preEncoded ??= { wsPreEncodedFrame: [ownMemory(this.#frame)] };
      client.writeToEngine(this.#encoded, this.#preEncoded);
    }
  }

  /** Charges each copy once, by either path, to the connection whose event is being handled. */
  end(): void {
    if (!this.#pacer) return;
    this.#pacer.workBytes = this.#workBytes + this.#copies * (this.#frame.length + copyBytes);
    this.#pacer.spokenBytes += this.#frame.length;
  }

  /** The tests also run Socket.IO's stock engine, which has no pacer. */
  #begin({ server: { pacer } }: EngineSocket): void {
    this.#pacer = pacer as Shared["pacer"] | undefined;
    this.#workBytes = this.#pacer?.workBytes ?? 0;
  }
}
