import type { Presence, RoomName } from "../protocol.ts";
import { type Position, positionOf } from "../rooms/position.ts";

/*
 * What the scripts publish on the channel of a room.
 */

/** A change of a room's membership or presence. The changes of a room are numbered. */
export type Change = { readonly change: number } & (Joined | Left | Present);

interface Joined {
  readonly kind: "J";
  /** The number of members after it. */
  readonly members: number;
  /** The last logged message before it. */
  readonly head: Position;
  readonly node: string;
  readonly connection: string;
  /** The announcement; "" if nobody is told. */
  readonly json: string;
}

interface Left {
  readonly kind: "L";
  readonly members: number;
  readonly node: string;
  readonly connection: string;
  readonly json: string;
}

interface Present {
  readonly kind: "P";
  readonly presence: Presence;
}

/** The number of a change. */
export const changeOf = (payload: string): number => Number(payload.slice(1, payload.indexOf(" ")));

/** Decodes a change of a room. */
export function decodeChange(room: RoomName, payload: string): Change {
  const end = payload.indexOf("\n");
  const [first = "", ...fields] = payload.slice(0, end).split(" ");
  const rest = payload.slice(end + 1);
  const change = Number(first.slice(1));
  if (first[0] === "P") {
    const [online, total] = fields;
    const presence = { room, userId: rest, online: online === "1", total: Number(total) };
    return { kind: "P", change, presence };
  }
  const members = Number(fields[0]);
  if (first[0] === "L") {
    const [, node = "", connection = ""] = fields;
    return { kind: "L", change, members, node, connection, json: rest };
  }
  const [, head = "", node = "", connection = ""] = fields;
  return { kind: "J", change, members, head: positionOf(head), node, connection, json: rest };
}
