/**
 * All internals of socket.io, socket.io-adapter and socket.io-parser that roomcast uses although they are not
 * part of the public types. No other internals of these packages may be used.
 *
 * `test/internals.test.ts` has an entry for each field. If a version no longer has the field, the test of
 * that name fails.
 */

import type { Adapter } from "socket.io-adapter";
import { Decoder } from "socket.io-parser";
import type { SocketInternals } from "../engineio/internals.ts";

/** socket.io's Client: the connection of a socket, and a way to send packets that are already encoded. */
export interface ClientInternals {
  id: string;
  /** The sockets of this connection, by namespace. */
  nsps: ReadonlyMap<string, unknown>;
  conn: SocketInternals;
  /** Its decoder, which on roomcast's engine is roomcast's. */
  decoder: unknown;
  writeToEngine(packets: string[], options: object): void;
}

/** socket.io's Server. */
export interface ServerInternals {
  /** All namespaces that exist now, by name. */
  readonly _nsps: ReadonlyMap<string, unknown>;
}

/** socket.io's Namespace. */
export interface NamespaceInternals {
  /**
   * Adds a client. Replaced, because it builds `socket.handshake` from a request that may have been released.
   */
  _add(client: ClientInternals, ...rest: unknown[]): Promise<unknown>;
  /**
   * Middleware; roomcast's must come first. A namespace created by a pattern starts with the pattern's
   * middleware.
   */
  _fns: unknown[];
}

/** socket.io's Socket. */
export interface IOSocketInternals {
  id: string;
  client: ClientInternals;
  /** Middleware; its spare capacity is trimmed (140 bytes per socket). */
  fns: unknown[];
  /** Listeners of `onAny`; undefined if there have been none. */
  _anyListeners?: unknown[];
  /** Listeners of `onAnyOutgoing`; undefined if there have been none. */
  _anyOutgoingListeners?: unknown[];
  /** Calls the listeners of `onAnyOutgoing`, as the stock adapter does for each member. */
  notifyOutgoingListeners(packet: Parameters<Adapter["broadcast"]>[0]): void;
}

/** socket.io-adapter's Adapter. */
export interface AdapterInternals {
  encoder: { encode(packet: Parameters<Adapter["broadcast"]>[0]): (string | Buffer)[] };
}

/** socket.io-parser's Decoder. */
export interface DecoderInternals {
  /** Set while the attachments of a binary packet are arriving. */
  reconstructor: unknown;
  emitReserved(event: "decoded", packet: object): void;
}

/** socket.io-parser's `Decoder.isPayloadValid`: the check that the stock decoder applies to each packet. */
export const { isPayloadValid } = Decoder as unknown as {
  isPayloadValid(type: number, payload: unknown): boolean;
};
