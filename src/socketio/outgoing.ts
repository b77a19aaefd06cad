import { PacketType } from "socket.io-parser";
import { frame } from "../engineio/frame.ts";
import type { Envelope } from "../rooms/envelope.ts";
import type { Outgoing, Packet } from "./broadcast.ts";

/** The packet as listeners for outgoing packets receive it; the payload is decoded only for them. */
class LazyPacket {
  readonly type = PacketType.EVENT;
  readonly #event: Envelope;

  constructor(event: Envelope) {
    this.#event = event;
  }

  get data(): unknown[] {
    return [this.#event.event, this.#event.payload];
  }
}

/** An event as a packet of one Socket.IO namespace (Socket.IO protocol 5). */
export class OutgoingEvent implements Outgoing {
  readonly text: string;
  readonly framed: Buffer;
  readonly isTransient: boolean;
  readonly packet: Packet;

  /** @param prefix the packet's type and namespace */
  constructor(prefix: string, event: Envelope) {
    this.packet = new LazyPacket(event) as object as Packet;
    this.isTransient = event.isTransient;
    this.text = `${prefix}["${event.event}",${event.json}]`;
    this.framed = frame(`4${this.text}`);
  }
}
