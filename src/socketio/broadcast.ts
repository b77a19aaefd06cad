import type { Adapter } from "socket.io-adapter";
import { sendQueueOf } from "../engineio/connection.ts";
import { frame, ownMemory } from "../engineio/frame.ts";
import type { EngineSocket, Shared } from "../engineio/session.ts";
import { copyBytes } from "../limits/pacer.ts";
import type { IOSocketInternals } from "./internals.ts";

export type Packet = Parameters<Adapter["broadcast"]>[0];

/** A socket whose connection belongs to our engine. */
export type FastSocket = IOSocketInternals & { client: { conn: EngineSocket } };

/** A packet for many sockets: encoded and framed once, and put straight into their send queues where that is safe. */
export class Broadcast {
  readonly #packet: Packet;
  readonly #encoded: string[];
  readonly #frame: Buffer;
  #kept: { wsPreEncodedFrame: Buffer[] } | undefined;
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
      this.#kept ??= { wsPreEncodedFrame: [ownMemory(this.#frame)] };
      client.writeToEngine(this.#encoded, this.#kept);
    }
  }

  /** Charges all copies to the connection whose event is being handled, once each, whichever way they went. */
  end(): void {
    if (!this.#pacer) return;
    this.#pacer.workBytes = this.#workBytes + this.#copies * (this.#frame.length + copyBytes);
    this.#pacer.spokenBytes += this.#frame.length;
  }

  /** A stock engine, which the tests run beside ours, has no pacer. */
  #begin({ server: { pacer } }: EngineSocket): void {
    this.#pacer = pacer as Shared["pacer"] | undefined;
    this.#workBytes = this.#pacer?.workBytes ?? 0;
  }
}
