import { type Authenticator, allows, mustAllow, type Permissions } from "../auth/permissions.ts";
import { ClientError, errorInfo, leavesNamespaceOnly } from "../errors.ts";
import { longestTimerMs } from "../limits/timer.ts";
import { Last, Offset, RoomName, Since, UserId } from "../protocol.ts";
import type { Draft } from "../rooms/compose.ts";
import { noRooms } from "../rooms/connection.ts";
import type { Start } from "../rooms/log.ts";
import { after, all, inOrder } from "../rooms/maybe-promise.ts";
import { startOf } from "../rooms/replay.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { type Untimed, untimed } from "./attempts.ts";
import type { AcceptedHandshake, HandshakeReplay, Member } from "./member.ts";
import type { Namespace } from "./namespace.ts";
import { validator } from "./validate.ts";

/** The fields of a client's handshake, not yet validated; null and undefined count as missing. */
export interface Handshake {
  userId?: unknown;
  /** One room, or an array of them. */
  room?: unknown;
  token?: unknown;
  /** An object of offsets by room. */
  since?: unknown;
  /** A number of messages. */
  last?: unknown;
}

const mustBeUserId = validator(UserId);
const mustBeRoom = validator(RoomName);
const mustBeSince = validator(Since);
const mustBeOffset = validator(Offset);
const mustBeLast = validator(Last);

/**
 * Decides from its handshake whether a client may connect to a namespace.
 *
 * @param id the connection's id, which is also the userId of a client that sends none
 * @throws {ClientError} `bad_payload`, `too_many_rooms`, `unauthorized`, `token_expired`, `forbidden`
 */
export function admit(
  { rooms, authenticator }: Namespace,
  id: string,
  handshake: Handshake,
): AcceptedHandshake | Promise<AcceptedHandshake> {
  const accept = (given: Handshake, permissions: Permissions | null) => {
    const result = accepted(rooms, id, given, permissions);
    return after(mustNotImpersonate(rooms, result), () => result);
  };
  if (!authenticator) return accept(handshake, null);
  return authenticator
    .authenticate(handshake.token)
    .then((permissions) => accept({ ...handshake, userId: permissions.userId }, permissions));
}

/** Throws `forbidden` if the userId is the id of another connection: the client would appear to others as that one. */
function mustNotImpersonate(rooms: Rooms, { id, userId }: AcceptedHandshake): void | Promise<void> {
  if (userId === id) return;
  return after(rooms.isConnected(userId), (isTaken) => {
    if (isTaken) throw new ClientError("forbidden", "The userId is the id of another connection.");
  });
}

function accepted(
  rooms: Rooms,
  id: string,
  { userId: given, room, since, last }: Handshake,
  permissions: Permissions | null,
): AcceptedHandshake {
  const userId = given ?? id;
  mustBeUserId(userId);
  const requested = room == null ? noRooms : [...new Set([room].flat())];
  rooms.mustHold(requested.length);
  requested.forEach(mustBeRoom);
  for (const name of requested as RoomName[]) mustAllow(permissions, name);
  const replay = replayOf(since, last);
  return { id, userId: userId as UserId, rooms: requested as readonly RoomName[], replay, permissions };
}

function replayOf(since: unknown, last: unknown): HandshakeReplay | undefined {
  if (last != null) mustBeLast(last);
  if (since == null) return last == null ? undefined : { since: new Map(), last: last as number };
  mustBeSince(since);
  const offsets = Object.entries(since).filter(([, offset]) => offset != null);
  for (const [, offset] of offsets) mustBeOffset(offset);
  return { since: new Map(offsets), last: (last as number | null | undefined) ?? undefined };
}

/**
 * Joins the rooms of the handshake, sends the member "connected!" with all of them, and announces it in each. Then
 * replays what the handshake asks for.
 */
export function connect(
  { rooms, authenticator }: Namespace,
  member: Member,
  { rooms: requested, replay }: AcceptedHandshake,
): void | Untimed<void> | Promise<void | Untimed<void>> {
  rooms.hub.add(member);
  if (authenticator) watchExpiry(member, authenticator.graceMs);
  const starts = new Map(requested.map((room) => [room, startOf(replay?.since.get(room), replay?.last)]));
  let isWelcome = false;
  const welcome = () => {
    if (isWelcome) return;
    isWelcome = true;
    member.send("res", rooms.compose(member, { type: "connected", text: "connected!", rooms: requested }));
  };
  // "connected!" lists all rooms. Each announcement lists only its own: otherwise the total size would grow with the
  // square of the number of rooms.
  const entrances = requested.map((room) => ({
    room,
    announcement: announcement(rooms, member, "join", room),
    isForOthers: false,
    entered: () => {
      welcome();
      // From here on, so that no live message comes before those that are replayed.
      if (starts.get(room)) rooms.hub.withhold(member, room);
    },
  }));
  return after(rooms.enter(member, entrances), () => {
    if (member.closing) return;
    welcome();
    if (replay) return untimed(sync(rooms, member, starts));
  });
}

/** Replays the rooms of a handshake, one after the other, and sends a `sync` for each. */
function sync(
  rooms: Rooms,
  member: Member,
  starts: ReadonlyMap<RoomName, Start | undefined>,
): void | Promise<void> {
  const replay = rooms.replay(member);
  return inOrder([...starts], ([room, start]) => {
    if (!member.rooms.includes(room)) return;
    const sent = after(rooms.replayRoom(replay, room, start), (verdict) => {
      member.send("sync", { room, ...verdict });
    });
    // A room that the member was removed from needs no verdict; the other rooms still do.
    return sent?.catch((error) => {
      if (member.rooms.includes(room)) throw error;
    });
  });
}

const announcement = (rooms: Rooms, member: Member, verb: "join" | "leave", room: RoomName) =>
  rooms.compose(member, { type: verb, text: `<= ${member.userId} ${verb} ${room}`, rooms: [room] });

/**
 * Makes a member join a room. Its own copy of the announcement lists all rooms that it is in.
 *
 * @param start undefined if nothing will be replayed
 */
export function join(
  rooms: Rooms,
  member: Member,
  room: RoomName,
  start: Start | undefined,
): void | Promise<void> {
  // From now on, so that no live message comes before those that are replayed.
  const withhold = () => start && rooms.hub.withhold(member, room);
  if (member.rooms.includes(room)) return withhold();
  const message = announcement(rooms, member, "join", room);
  const entered = () => {
    withhold();
    rooms.deliver(member, { ...message, room, rooms: [...member.rooms] });
  };
  return rooms.enter(member, [{ room, announcement: message, isForOthers: true, entered }]);
}

/** Removes a member from a room, and announces it to the others. */
export function leave(rooms: Rooms, member: Member, room: RoomName): void | Promise<void> {
  return rooms.leave(member, { room, announcement: announcement(rooms, member, "leave", room) });
}

/** Removes a member that sent `bye` from its rooms, and announces that in each. */
export function depart(rooms: Rooms, member: Member): void | Promise<void> {
  return remove(rooms, member, "bye", false, { type: "bye", text: `<= ${member.userId} leaved` });
}

/** Removes a member whose connection ended, and announces that in its rooms unless `silently` is set. */
export function disconnect(
  { rooms }: Namespace,
  member: Member,
  reason: string,
  { silently }: { silently: boolean },
): void | Promise<void> {
  const end = silently ? undefined : ({ type: "disconnected", text: "disconnected!" } as const);
  return remove(rooms, member, reason, mayComeBack(reason), end);
}

/** Whether a connection that ended for this reason was lost: its client did not end it, and may reconnect. */
function mayComeBack(reason: string): boolean {
  return reason !== "client namespace disconnect" && !leavesNamespaceOnly(reason);
}

function remove(
  rooms: Rooms,
  member: Member,
  reason: string,
  isLost: boolean,
  end: Pick<Draft, "type" | "text"> | undefined,
): void | Promise<void> {
  member.closing ??= reason;
  clearTimeout(member.expiry);
  const message = end && rooms.compose(member, { ...end, rooms: noRooms });
  return rooms.remove(member, isLost, (room) => message && { ...message, rooms: [room] });
}

/**
 * Notifies a member when its token expires, and closes it if no new token arrives within the grace period.
 */
function watchExpiry(member: Member, graceMs: number): void {
  clearTimeout(member.expiry);
  if (member.permissions) member.session.permissions = member.permissions;
  if (member.permissions?.expiresAt === undefined) return;
  const leftMs = Math.max(0, member.permissions.expiresAt - Date.now());
  const expired = () => {
    if (leftMs > longestTimerMs) return watchExpiry(member, graceMs);
    member.send("error", { event: "auth", error: errorInfo(new ClientError("token_expired")) });
    member.expiry = setTimeout(() => member.close("token expired"), graceMs);
  };
  member.expiry = setTimeout(expired, Math.min(leftMs, longestTimerMs));
}

/** Applies a new token: the member leaves the rooms that the token does not allow. */
export function reauthenticate(
  rooms: Rooms,
  member: Member,
  permissions: Permissions,
  { graceMs }: Authenticator,
): void | Promise<void> {
  if (permissions.userId !== member.userId)
    throw new ClientError("forbidden", "The token is another user's.");
  member.permissions = permissions;
  watchExpiry(member, graceMs);
  const lost = member.rooms.filter((room) => !allows(permissions, room));
  return all(lost.map((room) => leave(rooms, member, room)));
}
