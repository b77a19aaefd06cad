/**
 * Every field of socket.io, socket.io-adapter and socket.io-parser that is used and is not part of their public types.
 * Nothing else of them may be touched.
 *
 * `test/internals.test.ts` has an entry for each line and fails by its name when a version no longer has it.
 */

import type { Adapter } from "socket.io-adapter";
import { Decoder } from "socket.io-parser";
import type { SocketInternals } from "../engineio/internals.ts";

/** socket.io's Client of a socket: its connection, and the way to it past the encoder. */
export interface ClientInternals {
  id: string;
  /** The sockets of this connection by their namespaces. */
  nsps: ReadonlyMap<string, unknown>;
  conn: SocketInternals;
  writeToEngine(packets: string[], options: object): void;
}

/** socket.io's Namespace. */
export interface NamespaceInternals {
  /** Called to enter it; replaced, since it builds `socket.handshake` of what is left of the request. */
  _add(client: ClientInternals, ...rest: unknown[]): Promise<unknown>;
  /** Middleware, of which ours comes first. A namespace made by a pattern begins with that of the pattern. */
  _fns: unknown[];
}

/** socket.io's Socket. */
export interface IOSocketInternals {
  id: string;
  client: ClientInternals;
  /** Middleware; its reserve is given back (140 bytes per socket). */
  fns: unknown[];
  /** Calls the listeners of `onAnyOutgoing`, which the stock adapter does for each member. */
  notifyOutgoingListeners(packet: Parameters<Adapter["broadcast"]>[0]): void;
}

/** socket.io-adapter's Adapter. */
export interface AdapterInternals {
  encoder: { encode(packet: Parameters<Adapter["broadcast"]>[0]): (string | Buffer)[] };
}

/** socket.io-parser's Decoder. */
export interface DecoderInternals {
  /** Set while attachments of a binary packet are coming. */
  reconstructor: unknown;
  emitReserved(event: "decoded", packet: object): void;
}

/** socket.io-parser's `Decoder.isPayloadValid`: what the stock decoder asks of each packet. */
export const { isPayloadValid } = Decoder as unknown as {
  isPayloadValid(type: number, payload: unknown): boolean;
};
