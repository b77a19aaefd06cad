import { ClientError } from "../errors.ts";
import type { RoomName, UserId } from "../protocol.ts";

/** The permissions that a token grants to the client that presents it. */
export interface Permissions {
  readonly userId: UserId;
  /** The allowed rooms, as names or prefixes such as `team-*`. Undefined allows all rooms. */
  readonly rooms?: readonly string[];
  /** Milliseconds since the Unix epoch; undefined if the token does not expire. */
  readonly expiresAt?: number;
}

/** Checks the tokens that clients present. */
export interface Authenticator {
  /** Verifies a token. @throws {ClientError} `unauthorized`, `token_expired`, `timeout`, `internal` */
  authenticate(token: unknown): Promise<Permissions>;
  /** How long a connection may outlive its token, in milliseconds. */
  graceMs: number;
}

/** Whether the permissions allow a room; null allows every room. */
export function allows(permissions: Permissions | null, room: RoomName): boolean {
  if (!permissions?.rooms) return true;
  return permissions.rooms.some((allowed) =>
    allowed.endsWith("*") ? room.startsWith(allowed.slice(0, -1)) : allowed === room,
  );
}

/** Throws unless the permissions allow a room. @throws {ClientError} `forbidden` */
export function mustAllow(permissions: Permissions | null, room: RoomName): void {
  if (allows(permissions, room)) return;
  throw new ClientError("forbidden", `The token does not allow the room ${room}.`);
}
