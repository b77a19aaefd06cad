import { ClientError } from "../errors.ts";
import type { Message, NamespaceName, RoomName, UserId } from "../protocol.ts";
import { messageId } from "./message-id.ts";

/** What rooms know of a connection: who it is, and where. */
export interface Member {
  readonly data: { readonly userId: UserId; rooms: readonly RoomName[] };
  /** Begins to hear what is delivered under this key. */
  join(key: string): unknown;
  /** Ceases to hear it. */
  leave(key: string): unknown;
}

/** A copy of a message for the one member that it is about. */
export interface OwnCopy {
  member: Member;
  message: Message;
}

/** Sends a message to every member that joined the key; the member of `own` receives that copy instead. */
export type Deliver = (key: string, message: Message, own?: OwnCopy) => void;

/** What is said, before rooms make a {@link Message} of it. */
export interface Saying {
  text: string;
  state: Message["state"];
  /** The rooms the message lists; where not given, those its user is in. */
  rooms?: readonly RoomName[];
}

/** The key a room's messages travel under. No socket id has a colon, so no room can be mistaken for a socket. */
const roomKey = (room: RoomName): string => `room:${room}`;

/** Who is in which room of one namespace, and the one door by which a message enters a room. */
export class Rooms {
  readonly #sizes = new Map<RoomName, number>();
  readonly #namespace: NamespaceName;
  readonly #deliveries: Deliver[] = [];
  readonly #maxRooms: number;

  /** @param maxRooms how many rooms one member may be in */
  constructor(namespace: NamespaceName, maxRooms: number) {
    this.#namespace = namespace;
    this.#maxRooms = maxRooms;
  }

  /** From now on messages go out this way too; each edge brings the way to the members that it serves. */
  deliverBy(deliver: Deliver): void {
    this.#deliveries.push(deliver);
  }

  /** How many rooms have a member. */
  get count(): number {
    return this.#sizes.size;
  }

  /** How many members the room has. */
  size(room: RoomName): number {
    return this.#sizes.get(room) ?? 0;
  }

  /**
   * Puts the member into the room.
   *
   * @returns false if it was there already
   * @throws {ClientError} `too_many_rooms`
   */
  join(member: Member, room: RoomName): boolean {
    const { rooms } = member.data;
    if (rooms.includes(room)) return false;
    this.mustHold(rooms.length + 1);
    member.join(roomKey(room));
    member.data.rooms = [...rooms, room];
    this.#sizes.set(room, this.size(room) + 1);
    return true;
  }

  /**
   * Takes the member out of the room.
   *
   * @throws {ClientError} `not_in_room`
   */
  leave(member: Member, room: RoomName): void {
    this.mustBeIn(member, room);
    member.leave(roomKey(room));
    member.data.rooms = member.data.rooms.filter((other) => other !== room);
    this.#shrink(room);
  }

  /** Takes the member out of all its rooms and returns them. */
  leaveAll(member: Member): readonly RoomName[] {
    const { rooms } = member.data;
    for (const room of rooms) {
      member.leave(roomKey(room));
      this.#shrink(room);
    }
    member.data.rooms = [];
    return rooms;
  }

  /** @throws {ClientError} `too_many_rooms` if no member may be in so many */
  mustHold(count: number): void {
    if (count <= this.#maxRooms) return;
    throw new ClientError("too_many_rooms", `One connection may be in at most ${this.#maxRooms} rooms.`);
  }

  /** @throws {ClientError} `not_in_room` */
  mustBeIn(member: Member, room: RoomName): void {
    if (!member.data.rooms.includes(room)) throw new ClientError("not_in_room");
  }

  /** Makes a message of what the member says; it has come through no room yet. */
  compose({ data }: Member, { text, state, rooms = data.rooms }: Saying): Message {
    const at = Date.now();
    const { userId } = data;
    const namespace = this.#namespace;
    return { id: messageId(at), userId, text, state, namespace, room: null, rooms: [...rooms], at };
  }

  /**
   * Puts a message into rooms; each of their members hears a copy through each of them.
   *
   * @returns how many copies were handed out
   */
  publish(message: Message): number {
    let recipients = 0;
    for (const room of message.rooms) {
      const copy = { ...message, room };
      for (const deliver of this.#deliveries) deliver(roomKey(room), copy);
      recipients += this.size(room);
    }
    return recipients;
  }

  /**
   * Tells rooms what a member did. A copy lists only the room that it comes through: listing all rooms of the member
   * would let a small event cause megabytes, and would name rooms that others may not know.
   *
   * @param mover receives a copy that lists all rooms it is in now
   */
  announce(message: Message, to: readonly RoomName[], mover?: Member): void {
    for (const room of to) {
      const copy = { ...message, room, rooms: [room] };
      // In its first room the mover receives what the others receive.
      const own =
        mover && mover.data.rooms.length > 1
          ? { member: mover, message: { ...copy, rooms: [...mover.data.rooms] } }
          : undefined;
      for (const deliver of this.#deliveries) deliver(roomKey(room), copy, own);
    }
  }

  #shrink(room: RoomName): void {
    const left = this.size(room) - 1;
    if (left > 0) this.#sizes.set(room, left);
    else this.#sizes.delete(room);
  }
}
