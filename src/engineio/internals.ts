/**
 * Every field of engine.io that is used and is not part of its public types. Nothing else of it may be touched, and no
 * private field of Node's classes at all.
 *
 * `test/internals.test.ts` has an entry for each line and fails by its name when a version no longer has it.
 */

import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { Socket as EngineIOSocket, type Server, type Transport } from "engine.io";
import type { WebSocket } from "ws";

/** engine.io's request: Node's, and what Engine.IO puts on it. */
export type EngineRequest = ConstructorParameters<typeof Transport>[0] &
  Parameters<Server["createTransport"]>[1] & {
    /** Read by Engine.IO instead of the URL where it is set, so that it decides on the query that the gate saw. */
    _query: Record<string, string>;
    /** Set once the WebSocket handshake is complete; the transport is made of it. */
    websocket?: WebSocket;
  };

/** engine.io's Socket. */
export type SocketInternals = Pick<EngineIOSocket, "readyState" | "close" | "protocol"> & {
  readonly id: string;
  /** That of "close" is replaced where it is the only one: Engine.IO forgets each session by a closure of its own. */
  removeAllListeners(event: "close"): void;
  on(event: "close", listener: (reason: string) => void): void;

  /** Replaced by a smaller object, since it is kept as long as the connection. */
  request: EngineRequest;
  /** Asked whether a frame may go straight into the send queue. */
  transport: Transport;
  /** Packets that wait; a frame may not overtake them. */
  writeBuffer: unknown[];
  /** One function for each transport; its reserve is given back (140 bytes per connection). */
  cleanupFn: unknown[];
  /** Callbacks of packets that were sent; its reserve is given back (140 bytes per connection). */
  sentCallbackFn: unknown[];
  /** Replaced, so that single packets of an application go through the send queue, too. */
  sendPacket: SendPacket;
  /** Runs while a client of Engine.IO 4 owes an answer to a ping, and always for one of Engine.IO 3. */
  pingTimeoutTimer: NodeJS.Timeout | null;
  /** Ends the session with a reason of ours. */
  onClose(reason: string): void;
};

export type SendPacket = (
  type: string,
  data?: string | ArrayBuffer | ArrayBufferView,
  options?: { wsPreEncodedFrame?: Buffer[] } | (() => void),
  callback?: () => void,
) => void;

/** engine.io's `Socket.prototype.sendPacket`, called for whatever does not fit the send queue. */
export const stockSendPacket = Reflect.get(EngineIOSocket.prototype, "sendPacket") as SendPacket;

/** engine.io's Server: all sessions by their id, to end them one by one and to find the owner of a transport. */
export function clientsOf(engine: object): Record<string, EngineIOSocket> {
  return (engine as { clients: Record<string, EngineIOSocket> }).clients;
}

/** Does what engine.io's Server does when a session has closed. */
export function forgetSession(engine: object, id: string): void {
  delete clientsOf(engine)[id];
  (engine as Server).clientsCount--;
}

/** A packet as engine.io's Socket hands it to its transport. */
export type TransportPacket = Parameters<Transport["send"]>[0][number] & {
  /** The frame where it was made already: Socket.IO's adapter makes one for all members of a room. */
  options?: { wsPreEncodedFrame?: Buffer[] };
};

/** engine.io's codec of Engine.IO 3 payloads. */
export interface PayloadCodec {
  encodePayload(packets: unknown[], supportsBinary: boolean, done: (payload: unknown) => void): void;
  encodePayloadAsBinary(packets: unknown[], done: (payload: unknown) => void): void;
  /** Replaced: stock Engine.IO reads 1 MB of it in 0.3 s. */
  decodePayload(payload: string | Buffer, take: (packet: object) => unknown): unknown;
  decodePacket(packet: string | Buffer, binaryType: undefined, utf8decode: boolean): object;
}

/** A packet as a transport hands it to engine.io's Socket. */
export interface InboundPacket {
  type: string;
  data?: unknown;
}

/** engine.io's Polling transport. */
export interface PollingInternals {
  /** The codec of payloads; replaced for clients of Engine.IO 3. */
  parser: PayloadCodec;
  readyState: string;
  protocol: number;
  /** The poll that is being answered. */
  res: ServerResponse;
  /** The post that is being read, and its answer. */
  dataReq: IncomingMessage | null;
  dataRes: ServerResponse | null;
  maxHttpBufferSize: number;
  /** The time that a closed session waits for one more poll; shortened. */
  closeTimeout: number;
  headers(request: IncomingMessage, headers: object): OutgoingHttpHeaders;
  /** Replaced: reads a post into one buffer. */
  onDataRequest(request: IncomingMessage, response: ServerResponse): void;
  /** Replaced: gives a large backlog in several answers. */
  send(packets: TransportPacket[]): void;
  /** Replaced: waits until the client took the answer. */
  doWrite(data: string | Buffer, options: object, done: () => void): void;
  onData(data: string | Buffer): void;
  /** Replaced: packets wait for those that came before. */
  onPacket(packet: InboundPacket): void;
  /** Replaced: waits for packets that came before. */
  onClose(): void;
  onError(message: string): void;
  discard(): void;
}

/** Gives back what an array holds in reserve: one that was pushed to keeps room for sixteen more. */
export function trim<Name extends string>(owner: Record<Name, unknown[]>, ...names: Name[]): void {
  for (const name of names) owner[name] = owner[name].slice() as never;
}
