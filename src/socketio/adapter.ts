import { Adapter, type BroadcastOptions } from "socket.io-adapter";
import { frame } from "../engineio/frame.ts";
import { broadcast, type FastSocket, type Packet } from "./broadcast.ts";
import type { AdapterInternals } from "./internals.ts";

/**
 * Socket.IO's in-memory adapter, for broadcasts of an application in its own rooms. It encodes a text packet
 * for one room once and puts it directly into the members' send queues. All other packets take the stock
 * path.
 */
export class FastAdapter extends Adapter {
  override broadcast(packet: Packet, options: BroadcastOptions): void {
    const text = this.#textForOneRoom(packet, options);
    if (text === undefined) super.broadcast(packet, options);
    else this.#broadcastText(packet, text, options);
  }

  #broadcastText(packet: Packet, text: string, options: BroadcastOptions): void {
    const sockets: Map<string, FastSocket> = this.nsp.sockets;
    const [room] = options.rooms as Set<string>;
    const isMember = ({ id }: FastSocket) => this.rooms.get(room as string)?.has(id) === true;
    const members = [...(this.rooms.get(room as string) ?? [])].flatMap((id) => sockets.get(id) ?? []);
    broadcast(
      { packet, text, framed: frame(`4${text}`) },
      members.map((socket) => ({ socket })),
      isMember,
    );
  }

  /** The encoded packet, if it is a single text for all members of one room. */
  #textForOneRoom(packet: Packet, { rooms, except, flags }: BroadcastOptions): string | undefined {
    if (rooms.size !== 1 || except?.size || flags?.volatile || flags?.compress === false) return undefined;
    packet.nsp = this.nsp.name;
    const encoded = (this as unknown as AdapterInternals).encoder.encode(packet);
    return encoded.length === 1 && typeof encoded[0] === "string" ? encoded[0] : undefined;
  }
}
