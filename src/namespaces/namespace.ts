import Type, { type Static, type TOptional, type TSchema } from "typebox";
import { ClientError } from "../errors.ts";
import { type NamespaceName, RoomName, UserId } from "../protocol.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { check } from "./check.ts";
import type { Connection, ConnectionData } from "./connection.ts";
import { type Authority, type Grant, mustAllow, watchExpiry } from "./grant.ts";

/**
 * Checks an event's arguments, then handles it: what it returns, or promises, is the ack, what it throws is the
 * failure.
 */
export type Handler = (connection: Connection, args: readonly unknown[]) => unknown;

/** What a namespace is made with. */
export interface Setup {
  rooms: Rooms;
  /** The longest text of a message, in characters. */
  maxTextChars: number;
  /** Where given, only who shows a token may come in. */
  authority?: Authority | undefined;
}

/** A name, its rooms, who may come in, and a handler for each event. */
export interface Namespace {
  readonly name: NamespaceName;
  readonly rooms: Rooms;
  readonly authority?: Authority | undefined;
  readonly events: ReadonlyMap<string, Handler>;
}

/** What a client says of itself as it connects, unchecked; null and undefined count as left out. */
export interface Handshake {
  userId?: unknown;
  /** One room, or an array of them. */
  room?: unknown;
  token?: unknown;
}

/** @typeParam Events the events that `protocol.ts` promises; each must have its handler */
export function namespace<Events>(
  name: NamespaceName,
  { rooms, authority }: Setup,
  events: Record<keyof Events, Handler>,
): Namespace {
  return { name, rooms, authority, events: new Map(Object.entries<Handler>(events)) };
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
 * @param id the connection's id, and the userId of a client that names none; a token names the user itself
 * @returns what is remembered of the connection; it is in no room before it is welcomed
 * @throws {ClientError} `bad_payload`, `too_many_rooms`, `unauthorized`, `token_expired`, `forbidden`
 */
export function admit(
  { rooms, authority }: Namespace,
  id: string,
  { userId, room, token }: Handshake,
): ConnectionData | Promise<ConnectionData> {
  if (!authority) return admitted(rooms, id, userId ?? id, room, null);
  return authority.grant(token).then((grant) => admitted(rooms, id, grant.userId, room, grant));
}

function admitted(
  rooms: Rooms,
  id: string,
  userId: unknown,
  room: unknown,
  grant: Grant | null,
): ConnectionData {
  mustBeUserId(userId);
  const asked = room == null ? none : [...new Set([room].flat())];
  rooms.mustHold(asked.length);
  asked.forEach(mustBeRoom);
  for (const name of asked as RoomName[]) mustAllow(grant, name);
  return {
    id,
    userId: userId as UserId,
    rooms: none,
    asked: asked as readonly RoomName[],
    context: null,
    grant,
    heard: 0,
    closing: null,
  };
}

/** Puts an admitted connection into the rooms it asked for, greets it, and tells those rooms. */
export function welcome({ rooms, authority }: Namespace, connection: Connection): void {
  const { asked } = connection.data;
  for (const room of asked) rooms.join(connection, room);
  connection.emit("res", rooms.compose(connection, { text: "connected!", state: "notice" }));
  // "connected!" lists all rooms once; listing them again in each copy would grow with their square.
  for (const room of asked) announce(rooms, connection, "join", room);
  if (authority) watchExpiry(connection, authority.graceMs);
}

/**
 * Tells a room that a connection joined or left it.
 *
 * @param mover the connection, where its own copy lists all its rooms
 */
export function announce(
  rooms: Rooms,
  connection: Connection,
  what: "join" | "leave",
  room: RoomName,
  mover?: Connection,
): void {
  const text = `<= ${connection.data.userId} ${what} ${room}`;
  rooms.announce(rooms.compose(connection, { text, state: "state", rooms: [] }), [room], mover);
}

/** Takes a connection that says bye out of its rooms for good and says so in each of them. */
export function depart(rooms: Rooms, connection: Connection): void {
  const left = vacate(rooms, connection, "bye");
  const text = `<= ${connection.data.userId} leaved`;
  rooms.announce(rooms.compose(connection, { text, state: "state", rooms: [] }), left);
}

/** Takes a connection that is gone out of its rooms, and says so in them unless told not to. */
export function lose(
  { rooms }: Namespace,
  connection: Connection,
  why: string,
  { silently }: { silently: boolean },
): void {
  const left = vacate(rooms, connection, why);
  if (silently) return;
  rooms.announce(rooms.compose(connection, { text: "disconnected!", state: "notice", rooms: [] }), left);
}

function vacate(rooms: Rooms, connection: Connection, why: string): readonly RoomName[] {
  connection.data.closing ??= why;
  clearTimeout(connection.data.expiry);
  return rooms.leaveAll(connection);
}
