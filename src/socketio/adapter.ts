import { Adapter, type BroadcastOptions } from "socket.io-adapter";
import { Broadcast, type FastSocket, type Packet } from "./broadcast.ts";
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
    const broadcast = new Broadcast(packet, text);
    const sockets: Map<string, FastSocket> = this.nsp.sockets;
    const [room] = options.rooms as Set<string>;
    // A copy, because a listener for outgoing packets may change the room's members.
    for (const id of [...(this.rooms.get(room as string) ?? [])]) {
      const socket = sockets.get(id);
      if (socket && this.rooms.get(room as string)?.has(id)) broadcast.sendTo(socket);
    }
    broadcast.end();
  }

  /** The encoded packet, if it is a single text for all members of one room. */
  #textForOneRoom(packet: Packet, { rooms, except, flags }: BroadcastOptions): string | undefined {
    if (rooms.size !== 1 || except?.size || flags?.volatile || flags?.compress === false) return undefined;
    packet.nsp = this.nsp.name;
    const encoded = (this as unknown as AdapterInternals).encoder.encode(packet);
    return encoded.length === 1 && typeof encoded[0] === "string" ? encoded[0] : undefined;
  }
}
