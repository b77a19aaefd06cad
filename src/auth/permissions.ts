import { ClientError } from "../errors.ts";
import type { RoomName, UserId } from "../protocol.ts";

/** What a token allows the client that presents it. */
export interface Permissions {
  readonly userId: UserId;
  /** The rooms it may be in, by name or as a prefix: `team-*`. All rooms where undefined. */
  readonly rooms?: readonly string[];
  /** Milliseconds since the epoch; undefined for a token that does not expire. */
  readonly expiresAt?: number;
}

/** Checks the tokens that clients present. */
export interface Authenticator {
  /** @throws {ClientError} `unauthorized`, `token_expired` */
  authenticate(token: unknown): Promise<Permissions>;
  /** How long a connection may outlive its token, in milliseconds. */
  graceMs: number;
}

/** Whether a room is allowed; without permissions every room is. */
export function allows(permissions: Permissions | null, room: RoomName): boolean {
  if (!permissions?.rooms) return true;
  return permissions.rooms.some((allowed) =>
    allowed.endsWith("*") ? room.startsWith(allowed.slice(0, -1)) : allowed === room,
  );
}

/** @throws {ClientError} `forbidden` */
export function mustAllow(permissions: Permissions | null, room: RoomName): void {
  if (allows(permissions, room)) return;
  throw new ClientError("forbidden", `The token does not allow the room ${room}.`);
}
