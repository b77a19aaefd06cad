import type { Consumer } from "./consumer.ts";

/** A connection that sends packets. */
export interface Producer<Packet> extends Consumer {
  /** Whether no more packets of the connection are to be handled. */
  readonly isClosed: boolean;
  /** The length of a packet, in bytes or characters. */
  lengthOf(packet: Packet): number;
  handle(packet: Packet): void;
  /** Stops reading from the connection until {@link resume}. */
  pause(): void;
  resume(): void;
}
