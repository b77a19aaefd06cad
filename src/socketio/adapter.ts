import { Adapter, type BroadcastOptions } from "socket.io-adapter";
import type { EngineSocket } from "./engine.ts";
import { frame, ownMemory } from "./frame.ts";
import type { AdapterInternals, IOSocketInternals } from "./internals.ts";
import { copyBytes } from "./pacer.ts";
import { outboxOf } from "./session.ts";

type Packet = Parameters<Adapter["broadcast"]>[0];

/** A socket of the namespace, whose connection belongs to our engine. */
type Socket = IOSocketInternals & { client: { conn: EngineSocket } };

/**
 * Socket.IO's adapter in memory. A text for one room is encoded once, header and payload in one buffer, and
 * goes straight into the outboxes of its members; all else takes the stock way.
 */
export class OutboxAdapter extends Adapter {
  /**
   * The sockets of a room that has been spoken to, so that one need not look each up by its id. Who joined
   * before it was connected is not among them; as it connects it joins its own id, and the list is made anew.
   */
  readonly #members = new Map<string, Socket[]>();

  override broadcast(packet: Packet, options: BroadcastOptions): void {
    const text = this.#textForOneRoom(packet, options);
    if (text === undefined) super.broadcast(packet, options);
    else for (const room of options.rooms) this.send(room, text, packet);
  }

  /** The packet as Socket.IO's text, where it is no more than that and goes to all of one room. */
  #textForOneRoom(packet: Packet, { rooms, except, flags }: BroadcastOptions): string | undefined {
    if (rooms.size !== 1 || except?.size || flags?.volatile || flags?.compress === false) return undefined;
    packet.nsp = this.nsp.name;
    const encoded = (this as unknown as AdapterInternals).encoder.encode(packet);
    return encoded.length === 1 && typeof encoded[0] === "string" ? encoded[0] : undefined;
  }

  /**
   * Sends a packet to the members of one room.
   *
   * @param text the packet as Socket.IO encodes it
   * @param except a member that does not receive it
   */
  send(room: string, text: string, packet: Packet, except?: { id: string }): void {
    const bytes = frame(`4${text}`);
    let kept: { wsPreEncodedFrame: Buffer[] } | undefined;
    const members = this.#membersOf(room);
    const pacer = members[0]?.client.conn.server.pacer;
    const workBytes = (pacer?.workBytes ?? 0) + members.length * (bytes.length + copyBytes);
    for (const socket of members) {
      if (socket === except) continue;
      socket.notifyOutgoingListeners(packet);
      // A listener may have changed who is in the room.
      if (this.#members.get(room) !== members && !this.rooms.get(room)?.has(socket.id)) continue;
      const { client } = socket;
      const outbox = outboxOf(client.conn);
      if (outbox) outbox.push(bytes);
      else if (client.conn.transport.name === "polling") client.writeToEngine([text], {});
      else {
        kept ??= { wsPreEncodedFrame: [ownMemory(bytes)] };
        client.writeToEngine([text], kept);
      }
    }
    if (!pacer) return;
    pacer.workBytes = workBytes;
    pacer.spokenBytes += bytes.length;
  }

  #membersOf(room: string): Socket[] {
    const known = this.#members.get(room);
    if (known) return known;
    const sockets: Map<string, Socket> = this.nsp.sockets;
    const members = [...(this.rooms.get(room) ?? [])].flatMap((id) => sockets.get(id) ?? []);
    if (members.length > 0) this.#members.set(room, members);
    return members;
  }

  // Whatever changes who is in a room makes its list of sockets out of date.

  override addAll(id: string, rooms: Set<string>): void {
    void super.addAll(id, rooms);
    this.#forget(id);
  }

  override del(id: string, room: string): void {
    this.#members.delete(room);
    void super.del(id, room);
  }

  override delAll(id: string): void {
    this.#forget(id);
    void super.delAll(id);
  }

  #forget(id: string): void {
    for (const room of this.sids.get(id) ?? []) this.#members.delete(room);
  }
}
