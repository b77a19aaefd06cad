import { type Authenticator, allows, mustAllow, type Permissions } from "../auth/permissions.ts";
import { ClientError, errorInfo } from "../errors.ts";
import { longestTimerMs } from "../limits/timer.ts";
import { RoomName, UserId } from "../protocol.ts";
import { after, all } from "../rooms/after.ts";
import { noRooms } from "../rooms/connection.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { Admission, Member } from "./member.ts";
import type { Namespace } from "./namespace.ts";
import { validator } from "./validate.ts";

/** The fields of a client's handshake, not yet validated; null and undefined count as missing. */
export interface Handshake {
  userId?: unknown;
  /** One room, or an array of them. */
  room?: unknown;
  token?: unknown;
}

const mustBeUserId = validator(UserId);
const mustBeRoom = validator(RoomName);

/**
 * Decides from its handshake whether a client may connect to a namespace.
 *
 * @param id the connection's id, which is also the userId of a client that sends none
 * @throws {ClientError} `bad_payload`, `too_many_rooms`, `unauthorized`, `token_expired`, `forbidden`
 */
export function admit(
  { rooms, authenticator }: Namespace,
  id: string,
  { userId, room, token }: Handshake,
): Admission | Promise<Admission> {
  if (!authenticator) return admitted(rooms, id, userId ?? id, room, null);
  return authenticator
    .authenticate(token)
    .then((permissions) => admitted(rooms, id, permissions.userId, room, permissions));
}

function admitted(
  rooms: Rooms,
  id: string,
  userId: unknown,
  room: unknown,
  permissions: Permissions | null,
): Admission {
  mustBeUserId(userId);
  const requested = room == null ? noRooms : [...new Set([room].flat())];
  rooms.mustHold(requested.length);
  requested.forEach(mustBeRoom);
  for (const name of requested as RoomName[]) mustAllow(permissions, name);
  return { id, userId: userId as UserId, rooms: requested as readonly RoomName[], permissions };
}

/**
 * Joins the rooms of the handshake, sends the member "connected!" with all of them, and announces it in each.
 */
export function connect(
  { rooms, authenticator }: Namespace,
  member: Member,
  requested: readonly RoomName[],
): void | Promise<void> {
  rooms.hub.add(member);
  if (authenticator) watchExpiry(member, authenticator.graceMs);
  const joined = all(requested.map((room) => rooms.join(member, room)));
  return after(joined, () => {
    if (member.closing) return;
    member.send("res", rooms.compose(member, { text: "connected!", state: "notice", rooms: requested }));
    // "connected!" has listed all rooms. Each copy here lists only its own: otherwise the total size would grow
    // with the square of the number of rooms.
    return all(requested.map((room) => rooms.publish(announcement(rooms, member, "join", room), [room])));
  });
}

const announcement = (rooms: Rooms, member: Member, verb: "join" | "leave", room: RoomName) =>
  rooms.compose(member, { text: `<= ${member.userId} ${verb} ${room}`, state: "state", rooms: [room] });

/** Announces to a room that a member has joined it. The member's own copy lists all rooms that it is in. */
export function announceJoin(rooms: Rooms, member: Member, room: RoomName): void | Promise<void> {
  const message = announcement(rooms, member, "join", room);
  return after(rooms.publish(message, [room], member), () =>
    rooms.deliver(member, { ...message, room, rooms: [...member.rooms] }),
  );
}

/** Announces to the remaining members of a room that a member has left it. */
export function announceLeave(rooms: Rooms, member: Member, room: RoomName): void | Promise<void> {
  return all([rooms.publish(announcement(rooms, member, "leave", room), [room])]);
}

/** Removes a member that sent `bye` from its rooms, and announces that in each. */
export function depart(rooms: Rooms, member: Member): void | Promise<void> {
  return announceEnd(rooms, member, `<= ${member.userId} leaved`, "state", remove(rooms, member, "bye"));
}

/** Removes a member whose connection ended, and announces that in its rooms unless `silently` is set. */
export function disconnect(
  { rooms }: Namespace,
  member: Member,
  reason: string,
  { silently }: { silently: boolean },
): void | Promise<void> {
  const left = remove(rooms, member, reason);
  if (!silently) return announceEnd(rooms, member, "disconnected!", "notice", left);
}

function remove(rooms: Rooms, member: Member, reason: string): readonly RoomName[] {
  member.closing ??= reason;
  clearTimeout(member.expiry);
  return rooms.remove(member);
}

function announceEnd(
  rooms: Rooms,
  member: Member,
  text: string,
  state: "state" | "notice",
  left: readonly RoomName[],
): void | Promise<void> {
  const message = rooms.compose(member, { text, state, rooms: noRooms });
  return all(left.map((room) => rooms.publish({ ...message, rooms: [room] }, [room])));
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
