import type { IncomingMessage, ServerResponse } from "node:http";
import { ByteRate } from "../limits/byte-rate.ts";
import type { Unfinished } from "../limits/inbound-memory.ts";
import { readBody } from "./body.ts";
import { type Data, memoryOf } from "./frame.ts";
import type { PayloadCodec, PollingInternals, TransportPacket } from "./internals.ts";
import { countPackets, decodePayload3, type Payload, turnsOf } from "./payload.ts";
import { packetBytes, type Session, type SessionTransport, type Traffic } from "./session.ts";

/** Engine.IO's polling transport with what is kept of it here. */
type Internals = PollingInternals &
  Omit<SessionTransport, "charge" | "unreadBytes"> & {
    /** What the client has not taken of its last answer, in bytes. */
    unreadBytes: number;
    once(event: "close", listener: () => void): void;
    /** Once it has posted something. */
    rate?: ByteRate;
    /** @returns how many milliseconds to wait before more is read */
    charge(bytes: number): number;
  };

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
export function adaptPolling<T extends object>(
  transport: T,
  traffic: Traffic,
  isJsonp: boolean,
): T & SessionTransport {
  const internals = transport as unknown as Internals;
  Object.assign(internals, { unreadBytes: 0, isGone: false, pause() {}, resume() {} });
  internals.end = () => internals.discard();
  internals.closeTimeout = longestCloseMs;
  internals.once("close", () => {
    const { res } = internals;
    // One who does not take the last answer would hold it for ever.
    if (res) setTimeout(() => res.destroy(), longestCloseMs).unref();
  });
  const { doWrite, onData, onClose, send } = internals;
  let isReading = false;
  let isOpening = true;
  internals.onData = function (data) {
    isReading = true;
    try {
      onData.call(this, data);
    } finally {
      isReading = false;
    }
  };
  internals.onPacket = function (packet) {
    if (this.session?.transport === (this as object)) this.session.receive(packet);
  };
  internals.onClose = function () {
    // The client says that it closes behind other packets.
    if (isReading) whenIdle(this, () => onClose.call(this));
    else onClose.call(this);
  };
  internals.send = function (packets) {
    send.call(this, this.session ? answerable(this.session, packets) : packets);
  };
  if (internals.protocol === 3) internals.parser = codec3(internals.parser);
  if (isJsonp) countDecoded(internals);
  internals.onDataRequest = takePost;
  internals.charge = function (bytes) {
    const now = performance.now();
    this.rate ??= new ByteRate((this.session as Session).shared.bounds, now);
    return this.rate.take(bytes, now);
  };
  internals.doWrite = function (data, options, done) {
    const { res } = this;
    const size = Buffer.byteLength(data);
    traffic.bytesOut += size;
    internals.unreadBytes = size;
    // The answer that opens a session does not show that its client will poll.
    const isPoll = !isOpening;
    isOpening = false;
    const read = () => {
      const { session } = internals;
      if (isPoll && session) session.shared.slowConsumers.read(session);
    };
    read();
    res.once("finish", () => {
      internals.unreadBytes = 0;
      read();
      done();
    });
    res.once("close", () => {
      if (!res.writableFinished) internals.onError("an answer to a poll was not taken");
    });
    doWrite.call(this, data, options, () => {});
  };
  return transport as T & SessionTransport;
}

/**
 * As many packets as one answer may have; the others wait for the next poll. By its polls a client shows how much it
 * takes, and what is encoded and compressed for it at a time is bounded.
 */
function answerable(session: Session, packets: TransportPacket[]): TransportPacket[] {
  const { maxBatchBytes } = session.shared;
  // With the last answer a session that closes says so.
  if (!session.isOpen || session.bufferedBytes <= maxBatchBytes) return packets;
  let bytes = 0;
  const end = packets.findIndex(({ data }, n) => {
    bytes += packetBytes + memoryOf(data as Data);
    return n > 0 && bytes > maxBatchBytes;
  });
  if (end < 0) return packets;
  const rest = packets.slice(end);
  session.putBack(
    rest,
    rest.reduce((sum, { data }) => sum + packetBytes + memoryOf(data as Data), 0),
  );
  return packets.slice(0, end);
}

/** Calls back once all packets that came over this transport were handled. */
function whenIdle({ session }: Internals, done: () => void): void {
  if (session) session.shared.pacer.whenIdle(session, done);
  else done();
}

/** The codec of Engine.IO 3, with a quick way to decode payloads. */
function codec3(stock: PayloadCodec): PayloadCodec {
  const decode = (packet: Payload) => stock.decodePacket(packet, undefined, false);
  quickCodec3 ??= { ...stock, decodePayload: (payload, take) => decodePayload3(payload, decode, take) };
  return quickCodec3;
}

/** By JSONP a payload is the field of a form, which is decoded before its packets can be counted. */
function countDecoded(transport: Internals): void {
  const { parser } = transport;
  const decodePayload: PayloadCodec["decodePayload"] = (payload, take) => {
    const { session, protocol } = transport;
    const isAdmitted = session?.shared.packets.admits(session, countPackets(payload, protocol));
    return isAdmitted ? parser.decodePayload(payload, take) : [];
  };
  transport.parser = { ...parser, decodePayload };
}

let quickCodec3: PayloadCodec | undefined;

/** Takes a post as the stock transport does, but for the way that its body is kept and read. */
function takePost(this: Internals, request: IncomingMessage, response: ServerResponse): void {
  const isBinary = request.headers["content-type"] === "application/octet-stream";
  if (this.dataReq || (isBinary && this.protocol === 4)) {
    this.onError(isBinary ? "invalid content" : "data request overlap from client");
    response.writeHead(400).end();
    return;
  }
  this.dataReq = request;
  this.dataRes = response;
  const body = new Body(this);
  const release = () => {
    body.release();
    request.off("close", cutShort);
    response.off("close", cutShort);
    this.dataReq = null;
    this.dataRes = null;
  };
  const cutShort = () => {
    release();
    this.onError("data request connection closed prematurely");
  };
  request.on("close", cutShort);
  readBody(request, this.maxHttpBufferSize, body.hold, (bytes) => {
    if (bytes === undefined) {
      response.writeHead(413).end();
      return release();
    }
    // A request that was read whole is closed, too.
    request.off("close", cutShort);
    response.on("close", cutShort);
    body.release();
    readInTurns(this, isBinary ? bytes : bytes.toString(), () => {
      // text/html, since some browsers offer text/plain as a download.
      response.writeHead(200, this.headers(request, { "Content-Type": "text/html", "Content-Length": "2" }));
      response.end("ok");
      release();
    });
  });
}

/** Reads a payload, giving others their turn, and no faster than a connection may send. */
function readInTurns(transport: Internals, payload: Payload, done: () => void): void {
  const { protocol } = transport;
  const session = transport.session as Session;
  const bytes = Buffer.byteLength(payload);
  const { packets, traffic } = session.shared;
  traffic.bytesIn += bytes;
  if (!packets.admits(session, countPackets(payload, protocol))) {
    done();
    return;
  }
  transport.charge(bytes);
  const turns = turnsOf(payload, protocol);
  const next = () => {
    const turn = turns.shift();
    if (turn !== undefined && !session.ending && transport.readyState !== "closed") transport.onData(turn);
    whenIdle(transport, () => {
      if (turns.length > 0) {
        setImmediate(next);
        return;
      }
      const waitMs = transport.charge(0);
      if (waitMs > 0) setTimeout(done, waitMs);
      else done();
    });
  };
  next();
}

/** The memory of a post whose end has not come. */
class Body implements Unfinished {
  readonly #transport: Internals;

  constructor(transport: Internals) {
    this.#transport = transport;
  }

  readonly hold = (bytes: number): void => this.#transport.session?.shared.inbound.hold(this, bytes);

  release(): void {
    this.hold(0);
  }

  evict(): void {
    this.#transport.session?.close("unfinished packet");
  }
}
