import type { RoomName } from "../protocol.ts";
import type { Connection } from "../rooms/connection.ts";
import type { Hub } from "../rooms/hub.ts";
import type { LogEntry } from "../rooms/log.ts";
import type { Position } from "../rooms/position.ts";

/** What a channel has missed, as it is read from Redis. */
export interface Missed {
  /** The last logged message. */
  head: Position;
  /** Whether the entries follow without a hole. */
  isComplete: boolean;
  /** The number of the last entry. */
  seq: number;
  entries: LogEntry[];
  members: number;
  /** The number of the last change. */
  change: number;
  changes: string[];
}

/** The node to which a channel belongs, for one namespace. */
export interface ChannelOwner {
  readonly hub: Hub;
  readonly nodeId: string;
  /** Makes a connection of this node a member. @returns the connection, if it is not to receive the announcement */
  joined(room: RoomName, connection: string): Connection | undefined;
  /** Removes a connection of this node from the members. */
  left(room: RoomName, connection: string): void;
  /** Reads what a channel has missed. @throws {ClientError} `unavailable` */
  missed(room: RoomName, position: Position | undefined, change: number): Promise<Missed>;
}
