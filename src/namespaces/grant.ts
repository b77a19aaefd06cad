import { ClientError, told } from "../errors.ts";
import { longestTimerMs, roomIn } from "../limits.ts";
import type { RoomName, UserId } from "../protocol.ts";
import type { Connection } from "./connection.ts";

/** What a token allows whoever shows it. */
export interface Grant {
  readonly userId: UserId;
  /** The rooms it may be in, by name or as `team-*`; all where not given. */
  readonly rooms?: readonly string[];
  /** Milliseconds since the epoch; never where not given. */
  readonly expiresAt?: number;
}

/** Who may come in: makes a grant of a token, and tells for how long a connection may outlive it. */
export interface Authority {
  /** @throws {ClientError} `unauthorized`, `token_expired` */
  grant(token: unknown): Promise<Grant>;
  graceMs: number;
}

/** Whether who holds the grant may be in the room. */
export function allows(grant: Grant | null, room: RoomName): boolean {
  return !grant?.rooms || roomIn(grant.rooms, room);
}

/** @throws {ClientError} `forbidden` */
export function mustAllow(grant: Grant | null, room: RoomName): void {
  if (allows(grant, room)) return;
  throw new ClientError("forbidden", `The token does not allow the room ${room}.`);
}

/** Watches a connection's grant: on its expiry the connection is told, and without a new one it is ended. */
export function watchExpiry(connection: Connection, graceMs: number): void {
  const { data } = connection;
  clearTimeout(data.expiry);
  if (data.grant?.expiresAt === undefined) return;
  const leftMs = Math.max(0, data.grant.expiresAt - Date.now());
  const expired = () => {
    if (leftMs > longestTimerMs) return watchExpiry(connection, graceMs);
    connection.emit("error", { event: "auth", error: told(new ClientError("token_expired")) });
    data.expiry = setTimeout(() => {
      data.closing = "token expired";
      connection.disconnect();
    }, graceMs);
  };
  data.expiry = setTimeout(expired, Math.min(leftMs, longestTimerMs));
}
