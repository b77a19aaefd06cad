import type { Refused } from "../../src/errors.ts";
import type { Message, NamespaceName } from "../../src/protocol.ts";
import type { Room } from "./room.ts";

/** What an ack brought, as far as anybody looks. */
export interface Reply {
  error?: Refused;
  members?: number;
  recipients?: number;
}

/** A client that is connected to one namespace, however it does that. */
export interface Guest {
  readonly namespace: NamespaceName;
  readonly userId: string;
  /** The rooms it is in, as it knows. */
  readonly rooms: Set<Room>;
  /** Where set, hears each message that is not large. */
  onMessage: ((message: Message) => void) | undefined;
  /** Sends an event and resolves with its ack, which is in the ledger by then. */
  ask(event: string, ...args: unknown[]): Promise<Reply>;
  /** Resolves when the server has disconnected it from the namespace. */
  readonly dismissed: Promise<void>;
  /** Disconnects from the namespace and closes. */
  disconnect(): void;
  /** Closes the connection under the namespace, in order. */
  close(): void;
}

/** The text of a reply may be anything; what is looked at is there only in objects. */
export const replyOf = (ack: unknown): Reply => (typeof ack === "object" && ack !== null ? ack : {});
