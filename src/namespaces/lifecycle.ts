import { type Authenticator, allows, mustAllow, type Permissions } from "../auth/permissions.ts";
import { ClientError, errorInfo, leavesNamespaceOnly } from "../errors.ts";
import { longestTimerMs } from "../limits/timer.ts";
import { Last, Offset, RoomName, Since, UserId } from "../protocol.ts";
import { noRooms } from "../rooms/connection.ts";
import type { Start } from "../rooms/log.ts";
import { after, all, inOrder } from "../rooms/maybe-promise.ts";
import { startOf } from "../rooms/replay.ts";
import type { Draft, Rooms } from "../rooms/rooms.ts";
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
  if (!authenticator) return accepted(rooms, id, handshake, null);
  return authenticator
    .authenticate(handshake.token)
    .then((permissions) => accepted(rooms, id, { ...handshake, userId: permissions.userId }, permissions));
}

function accepted(
  rooms: Rooms,
  id: string,
  { userId: given, room, since, last }: Handshake,
  permissions: Permissions | null,
): AcceptedHandshake {
  const userId = given ?? id;
  mustBeUserId(userId);
  // Otherwise a client could appear to others as another connection.
  if (userId !== id && rooms.hub.get(userId as UserId))
    throw new ClientError("forbidden", "The userId is the id of another connection.");
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
  const joined = all(
    requested.map((room) => {
      const isNew = rooms.join(member, room);
      // From here on, so that no live message comes before those that are replayed.
      if (starts.get(room)) rooms.hub.withhold(member, room);
      return isNew;
    }),
  );
  const announced = after(joined, () => {
    if (member.closing) return;
    member.send("res", rooms.compose(member, { type: "connected", text: "connected!", rooms: requested }));
    // "connected!" has listed all rooms. Each copy here lists only its own: otherwise the total size would grow
    // with the square of the number of rooms.
    return all(requested.map((room) => rooms.announce(room, announcement(rooms, member, "join", room))));
  });
  return replay ? after(announced, () => untimed(sync(rooms, member, starts))) : announced;
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
    return after(rooms.replayRoom(replay, room, start), (verdict) => {
      member.send("sync", { room, ...verdict });
    });
  });
}

const announcement = (rooms: Rooms, member: Member, verb: "join" | "leave", room: RoomName) =>
  rooms.compose(member, { type: verb, text: `<= ${member.userId} ${verb} ${room}`, rooms: [room] });

/** Announces to a room that a member has joined it. The member's own copy lists all rooms that it is in. */
export function announceJoin(rooms: Rooms, member: Member, room: RoomName): void | Promise<void> {
  const message = announcement(rooms, member, "join", room);
  return after(rooms.announce(room, message, member), () => {
    if (!member.closing) rooms.deliver(member, { ...message, room, rooms: [...member.rooms] });
  });
}

/** Announces to the remaining members of a room that a member has left it. */
export function announceLeave(rooms: Rooms, member: Member, room: RoomName): void | Promise<void> {
  return rooms.announce(room, announcement(rooms, member, "leave", room));
}

/** Removes a member that sent `bye` from its rooms, and announces that in each. */
export function depart(rooms: Rooms, member: Member): void | Promise<void> {
  const left = remove(rooms, member, "bye", false);
  return announceEnd(rooms, member, { type: "bye", text: `<= ${member.userId} leaved` }, left);
}

/** Removes a member whose connection ended, and announces that in its rooms unless `silently` is set. */
export function disconnect(
  { rooms }: Namespace,
  member: Member,
  reason: string,
  { silently }: { silently: boolean },
): void | Promise<void> {
  const left = remove(rooms, member, reason, mayComeBack(reason));
  if (!silently) return announceEnd(rooms, member, { type: "disconnected", text: "disconnected!" }, left);
}

/** Whether a connection that ended for this reason was lost: its client did not end it, and may reconnect. */
function mayComeBack(reason: string): boolean {
  return reason !== "client namespace disconnect" && !leavesNamespaceOnly(reason);
}

function remove(rooms: Rooms, member: Member, reason: string, isLost: boolean): readonly RoomName[] {
  member.closing ??= reason;
  clearTimeout(member.expiry);
  return rooms.remove(member, isLost);
}

function announceEnd(
  rooms: Rooms,
  member: Member,
  end: Pick<Draft, "type" | "text">,
  left: readonly RoomName[],
): void | Promise<void> {
  const message = rooms.compose(member, { ...end, rooms: noRooms });
  return all(left.map((room) => rooms.announce(room, { ...message, rooms: [room] })));
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
  for (const room of lost) rooms.leave(member, room);
  return all(lost.map((room) => announceLeave(rooms, member, room)));
}
