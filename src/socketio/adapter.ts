import { Adapter, type BroadcastOptions } from "socket.io-adapter";
import { Broadcast, type FastSocket, type Packet } from "./broadcast.ts";
import type { AdapterInternals } from "./internals.ts";

/**
 * Socket.IO's in-memory adapter, for what an application broadcasts in rooms of its own: a text for one room is
 * encoded once and goes straight into the send queues of its members. Everything else takes the stock path.
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
    // A copy, since a listener for outgoing packets may change who is in the room.
    for (const id of [...(this.rooms.get(room as string) ?? [])]) {
      const socket = sockets.get(id);
      if (socket && this.rooms.get(room as string)?.has(id)) broadcast.sendTo(socket);
    }
    broadcast.end();
  }

  /** The packet as Socket.IO's text, where it is no more than that and goes to all of one room. */
  #textForOneRoom(packet: Packet, { rooms, except, flags }: BroadcastOptions): string | undefined {
    if (rooms.size !== 1 || except?.size || flags?.volatile || flags?.compress === false) return undefined;
    packet.nsp = this.nsp.name;
    const encoded = (this as unknown as AdapterInternals).encoder.encode(packet);
    return encoded.length === 1 && typeof encoded[0] === "string" ? encoded[0] : undefined;
  }
}
