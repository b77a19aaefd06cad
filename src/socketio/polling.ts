import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody } from "./body.ts";
import type { EngineSocket, Traffic } from "./engine.ts";
import type { PollingInternals } from "./internals.ts";

/** Engine.IO's polling transport with what is kept of it here. */
type Internals = Polling & PollingInternals & { once(event: "close", listener: () => void): void };

/** A polling transport that tells how much of its last answer the client has not taken, in bytes. */
export interface Polling {
  unreadBytes: number;
  /** Whose it is. */
  connection?: EngineSocket | undefined;
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
 * Stock polling forgets an answer as it is written: one who polls and never reads would have them pile up. It keeps
 * the session of one who has ceased to poll for half a minute, and reads payloads of however many packets.
 */
export function tame(transport: object, traffic: Traffic): void {
  const internals = transport as Internals;
  internals.unreadBytes = 0;
  internals.closeTimeout = longestCloseMs;
  internals.once("close", () => {
    const { res } = internals;
    // One who does not take the last answer would hold it for ever.
    if (res) setTimeout(() => res.destroy(), longestCloseMs).unref();
  });
  const { doWrite, onData, onPacket } = internals;
  internals.onData = function (data) {
    traffic.bytesIn += Buffer.byteLength(data);
    // Engine.IO 4 splits a payload before it looks at a packet of it.
    if (this.protocol === 4 && !admits(this, 1 + separatorsIn(data))) return;
    onData.call(this, data);
  };
  internals.onPacket = function (packet) {
    if (this.protocol === 3 && !admits(this)) throw flooded;
    onPacket.call(this, packet);
  };
  internals.onDataRequest = takePost;
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

/** Ends the reading of a payload with too many packets. */
const flooded = new Error("too many packets");

function unlessFlooded(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (error !== flooded) throw error;
  }
}

function admits({ connection }: Polling, packets?: number): boolean {
  return !connection || connection.server.flood.admits(connection, packets);
}

/** How many packets a payload of Engine.IO 4 has beyond the first. */
function separatorsIn(payload: string | Buffer): number {
  let count = 0;
  for (let at = payload.indexOf(separator); at >= 0; at = payload.indexOf(separator, at + 1)) count++;
  return count;
}

const separator = "\x1e";

/** Takes a post as the stock transport does, but for the way that its body is kept. */
function takePost(this: Internals, request: IncomingMessage, response: ServerResponse): void {
  const isBinary = request.headers["content-type"] === "application/octet-stream";
  if (this.dataReq || (isBinary && this.protocol === 4)) {
    this.onError(isBinary ? "invalid content" : "data request overlap from client");
    response.writeHead(400).end();
    return;
  }
  this.dataReq = request;
  this.dataRes = response;
  const release = () => {
    request.off("close", cutShort);
    this.dataReq = null;
    this.dataRes = null;
  };
  const cutShort = () => {
    release();
    this.onError("data request connection closed prematurely");
  };
  request.on("close", cutShort);
  readBody(request, this.maxHttpBufferSize, (body) => {
    if (body === undefined) response.writeHead(413).end();
    else {
      unlessFlooded(() => this.onData(isBinary ? body : body.toString()));
      // text/html, since some browsers offer text/plain as a download.
      response.writeHead(200, this.headers(request, { "Content-Type": "text/html", "Content-Length": "2" }));
      response.end("ok");
    }
    release();
  });
}
