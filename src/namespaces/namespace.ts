import Type, { type Static, type TOptional, type TSchema } from "typebox";
import { ClientError } from "../errors.ts";
import { type Message, type NamespaceName, RoomName, type ServerEvents, UserId } from "../protocol.ts";
import type { Member, Rooms } from "../rooms/rooms.ts";
import { check } from "./check.ts";

/** What is remembered of a connection. */
export interface ConnectionData {
  readonly userId: UserId;
  /** The rooms it is in. */
  rooms: readonly RoomName[];
  /** The rooms its handshake asked for, joined when it is welcomed. */
  readonly asked: readonly RoomName[];
  /** The last message it sent with `chat` or `msg`. */
  context: Message | null;
  /** It has said bye or was lost; what it still sends is refused. */
  closing: boolean;
}

/** A client on a namespace. A Socket.IO `Socket` is one as it stands. */
export interface Connection extends Member {
  readonly data: ConnectionData;
  /** Sends to this connection alone. */
  emit<Event extends keyof ServerEvents>(event: Event, ...args: Parameters<ServerEvents[Event]>): unknown;
  /** Ends it on this namespace; clients do not come back from this by themselves. */
  disconnect(): unknown;
}

/** Checks an event's arguments, then handles it: what it returns is the ack, what it throws is the failure. */
export type Handler = (connection: Connection, args: readonly unknown[]) => unknown;

/** A name, its rooms, and a handler for each event. */
export interface Namespace {
  readonly name: NamespaceName;
  readonly rooms: Rooms;
  readonly events: ReadonlyMap<string, Handler>;
}

/** What a client says of itself as it connects, unchecked; null and undefined count as left out. */
export interface Handshake {
  userId?: unknown;
  /** One room, or an array of them. */
  room?: unknown;
}

/** @typeParam Events the events that `protocol.ts` promises; each must have its handler */
export function namespace<Events>(table: {
  name: NamespaceName;
  rooms: Rooms;
  events: Record<keyof Events, Handler>;
}): Namespace {
  return { ...table, events: new Map(Object.entries<Handler>(table.events)) };
}

type Arguments<Schemas extends readonly TSchema[]> = {
  [I in keyof Schemas]: Schemas[I] extends TOptional<TSchema>
    ? Static<Schemas[I]> | undefined
    : Static<Schemas[I]>;
};

/**
 * A handler whose arguments are checked, each against its schema; arguments beyond those are ignored. An
 * optional one may be null, which is what JSON makes of undefined.
 */
export function on<Schemas extends TSchema[]>(
  ...parts: [...Schemas, (connection: Connection, ...args: Arguments<Schemas>) => unknown]
): Handler {
  const handle = parts.at(-1) as (connection: Connection, ...args: unknown[]) => unknown;
  const fields = (parts.slice(0, -1) as TSchema[]).map((schema) => ({
    mustBe: check(schema),
    optional: Type.IsOptional(schema),
  }));
  return (connection, args) => {
    const checked = fields.map(({ mustBe, optional }, index) => {
      if (optional && args[index] == null) return undefined;
      mustBe(args[index]);
      return args[index];
    });
    return handle(connection, ...checked);
  };
}

/**
 * Handles one event of a connection.
 *
 * @returns the ack
 * @throws {ClientError} for whatever the client is to blame for; anything else is a fault of ours
 */
export function call(
  { name, events }: Namespace,
  connection: Connection,
  event: unknown,
  args: readonly unknown[],
): unknown {
  if (connection.data.closing) throw new ClientError("closing");
  const handler = events.get(event as string);
  if (!handler) throw unknownEvent(name, [...events.keys()]);
  return handler(connection, args);
}

function unknownEvent(name: NamespaceName, known: string[]): ClientError {
  return new ClientError("unknown_event", `The namespace ${name} hears only ${known.join(", ")}.`);
}

/** Shared by all who are in no room. */
const none: readonly never[] = [];

const mustBeUserId = check(UserId);
const mustBeRoom = check(RoomName);

/**
 * Decides by its handshake whether a client may connect.
 *
 * @param id the name it goes by when it gives none
 * @returns what is remembered of the connection; it is in no room before it is welcomed
 * @throws {ClientError} `bad_payload`, `too_many_rooms`
 */
export function admit({ rooms }: Namespace, id: string, handshake: Handshake): ConnectionData {
  const userId = handshake.userId ?? id;
  mustBeUserId(userId);
  const asked = handshake.room == null ? none : [...new Set([handshake.room].flat())];
  asked.forEach(mustBeRoom);
  rooms.mustHold(asked.length);
  return {
    userId: userId as UserId,
    rooms: none,
    asked: asked as readonly RoomName[],
    context: null,
    closing: false,
  };
}

/** Puts an admitted connection into the rooms it asked for, greets it, and tells those rooms. */
export function welcome({ rooms }: Namespace, connection: Connection): void {
  const { asked } = connection.data;
  for (const room of asked) rooms.join(connection, room);
  connection.emit("res", rooms.compose(connection, { text: "connected!", state: "notice" }));
  for (const room of asked) announce(rooms, connection, "join", room);
}

/** Tells a room, the newcomer too, that somebody joined it, or those who stay that somebody left. */
export function announce(rooms: Rooms, connection: Connection, what: "join" | "leave", room: RoomName): void {
  const text = `<= ${connection.data.userId} ${what} ${room}`;
  rooms.publish(rooms.compose(connection, { text, state: "state" }), [room]);
}

/** Takes a connection out of its rooms for good and says so in each of them. */
export function depart(rooms: Rooms, connection: Connection, text: string, state: Message["state"]): void {
  const left = vacate(rooms, connection);
  rooms.publish(rooms.compose(connection, { text, state, rooms: left }));
}

/** Takes a connection that is gone without a bye out of its rooms, and says so in them unless told not to. */
export function lose(
  { rooms }: Namespace,
  connection: Connection,
  { silently }: { silently: boolean },
): void {
  if (silently) vacate(rooms, connection);
  else depart(rooms, connection, "disconnected!", "notice");
}

function vacate(rooms: Rooms, connection: Connection): readonly RoomName[] {
  connection.data.closing = true;
  return rooms.leaveAll(connection);
}
