import type { Message, NamespaceName, Presence, Sync } from "../../src/protocol.ts";

/** How a client connects: as a stock client, or as the hand-driven one. */
export const ways = ["websocket", "polling", "upgrade", "raw websocket", "raw polling"] as const;
export type Way = (typeof ways)[number];

/** Receives what happens to a client. */
export interface PeerListener {
  /** The fields of the next handshake. */
  handshake(): Record<string, unknown>;
  connected(): void;
  disconnected(reason: string): void;
  /** The server refused the handshake, or ended the connection for good. */
  refused(reason: string): void;
  received(message: Message): void;
  synced(sync: Sync): void;
  /** A user came to a watched room, or left it. */
  presenceChanged?(presence: Presence): void;
}

/** A client that connects again whenever it loses its connection. */
export interface Peer {
  /** Sends an event; the reply never comes if the connection is lost. */
  request(event: string, args: unknown[], replied: (reply: unknown) => void): void;
  /** Disconnects as a client does that has finished, then connects again. */
  restart(): void;
  /** Harms its own connection in a way that only a hand-driven client can. */
  misbehave(): void;
  close(): void;
}

export interface PeerOptions {
  way: Way;
  url: string;
  namespace: NamespaceName;
  /** The time until it connects again, in milliseconds. */
  reconnectionDelayMs: number;
}
