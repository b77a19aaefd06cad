import type { ServerResponse } from "node:http";
import type { EngineSocket, Traffic } from "./engine.ts";

/** The codec of Engine.IO 3 payloads, as engine.io keeps it on each of its transports. */
interface PayloadCodec {
  encodePayload(packets: unknown[], supportsBinary: boolean, done: (payload: unknown) => void): void;
  encodePayloadAsBinary(packets: unknown[], done: (payload: unknown) => void): void;
}

/** Engine.IO's polling transport, and what of it is not public. */
interface Internals {
  parser: PayloadCodec;
  res: ServerResponse;
  once(event: "close", listener: () => void): void;
  closeTimeout: number;
  doWrite(data: string | Buffer, options: object, done: () => void): void;
  onData(data: string | Buffer): void;
  onError(message: string): void;
}

/** A polling transport that tells how much of its last answer the client has not taken, in bytes. */
export interface Polling {
  unreadBytes: number;
  /** Whose it is. */
  connection?: EngineSocket;
}

/**
 * Whether answers to the polls of this client must be in the binary payload form of Engine.IO 3.
 *
 * Engine.IO 1.4, which the demo's page uses, takes an answer to a poll for an empty "ok" unless it comes as
 * application/octet-stream. Every browser build of 1.x and 2.x reads that form; Node's builds say `b64`.
 */
export function wantsBinaryPayloads(query: Record<string, string>): boolean {
  return query.EIO === "3" && !query.b64 && query.j === undefined;
}

/** Makes a polling transport answer in that form. */
export function answerInBinary(transport: object): void {
  const internals = transport as Internals;
  const { parser } = internals;
  internals.parser = {
    ...parser,
    encodePayload: (packets, _supportsBinary, done) => parser.encodePayloadAsBinary(packets, done),
  };
}

/** The time a client has for one more poll, by which it hears that its session is closed. */
const longestCloseMs = 1_000;

/**
 * Makes a polling transport count what it moves, and wait until an answer was taken before it gives the next.
 * Stock polling forgets an answer as it is written: one who polls and never reads would have them pile up. And
 * it keeps the session of one who has ceased to poll for half a minute.
 */
export function waitForReaders(transport: object, traffic: Traffic): void {
  const internals = transport as Internals & Polling;
  internals.unreadBytes = 0;
  internals.closeTimeout = longestCloseMs;
  internals.once("close", () => {
    const { res } = internals;
    // One who does not take the last answer would hold it for ever.
    if (res) setTimeout(() => res.destroy(), longestCloseMs).unref();
  });
  const { doWrite, onData } = internals;
  internals.onData = function (data) {
    traffic.bytesIn += Buffer.byteLength(data);
    onData.call(this, data);
  };
  internals.doWrite = function (data, options, done) {
    const { res } = this;
    const size = Buffer.byteLength(data);
    traffic.bytesOut += size;
    internals.unreadBytes = size;
    res.once("finish", () => {
      internals.unreadBytes = 0;
      internals.connection?.server.backlog.took(internals.connection);
      done();
    });
    res.once("close", () => {
      if (!res.writableFinished) internals.onError("an answer to a poll was not taken");
    });
    doWrite.call(this, data, options, () => {});
  };
}
