import type { RoomName, Who } from "../protocol.ts";
import type { Connection } from "./connection.ts";

/** The most users that `who` lists. */
export const maxListedUsers = 1_000;

/**
 * Knows the users in each room of a namespace. It reports to the watchers of a room when a user's first connection
 * enters and when the last one leaves. A user whose connection was lost stays present for a grace period.
 */
export interface Presence {
  who(room: RoomName): Who | Promise<Who>;
  /** Subscribes a member of a room to its presence events. The events that it receives follow on the result. */
  watch(room: RoomName, connection: Connection): Who | Promise<Who>;
  unwatch(room: RoomName, connection: Connection): void;
  close(): void;
}
