import type { IncomingMessage, ServerResponse } from "node:http";
import { ByteRate } from "../limits/byte-rate.ts";
import type { Unfinished } from "../limits/inbound-memory.ts";
import { readBody } from "./body.ts";
import { type Data, memoryOf } from "./frame.ts";
import type { PayloadCodec, PollingInternals, TransportPacket } from "./internals.ts";
import { countPackets, decodePayload3, type Payload, turnsOf } from "./payload.ts";
import { packetBytes, type Session, type SessionTransport, type Traffic } from "./session.ts";

/** Engine.IO's polling transport, plus the state that this file adds to it. */
type Internals = PollingInternals &
  Omit<SessionTransport, "charge" | "unreadBytes"> & {
    /** Size of the last response if the client has not taken it yet, in bytes. */
    unreadBytes: number;
    once(event: "close", listener: () => void): void;
    /** Undefined until the client's first POST. */
    rate?: ByteRate;
    /** @returns the milliseconds to wait before reading more */
    charge(bytes: number): number;
  };

/**
 * Whether this client's polls must be answered in the binary payload form of Engine.IO 3.
 *
 * Engine.IO 1.4, which the demo's page uses, mistakes the response to a poll for an empty "ok" unless its
 * type is application/octet-stream. Every browser build of 1.x and 2.x reads that form; Node's builds send
 * `b64`.
 */
export function wantsBinaryPayloads(query: Record<string, string>): boolean {
  return query.EIO === "3" && !query.b64 && query.j === undefined;
}

/** Makes a polling transport answer polls in the binary payload form. */
export function answerInBinary(transport: object): void {
  const internals = transport as Internals;
  const { parser } = internals;
  internals.parser = {
    ...parser,
    encodePayload: (packets, _supportsBinary, done) => parser.encodePayloadAsBinary(packets, done),
  };
}

/** How long a client has for one more poll, which tells it that its session is closed, in milliseconds. */
const closeTimeoutMs = 1_000;

/**
 * Makes a polling transport count its traffic, and send a response only after the client has taken the one
 * before. Stock polling forgets a response as soon as it is written: for a client that polls but never reads,
 * responses would pile up. Stock polling also keeps a closed session for half a minute if its client no
 * longer polls, and reads payloads with any number of packets.
 */
export function adaptPolling<T extends object>(
  transport: T,
  traffic: Traffic,
  isJsonp: boolean,
): T & SessionTransport {
  const internals = transport as unknown as Internals;
  Object.assign(internals, { unreadBytes: 0, isGone: false, pause() {}, resume() {} });
  internals.end = () => internals.discard();
  internals.closeTimeout = closeTimeoutMs;
  internals.once("close", () => {
    const { res } = internals;
    // A client that does not take the last response would keep it open forever.
    if (res) setTimeout(() => res.destroy(), closeTimeoutMs).unref();
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
    // The client's close packet may follow other packets of the payload, which are handled first.
    if (isReading) whenIdle(this, () => onClose.call(this));
    else onClose.call(this);
  };
  internals.send = function (packets) {
    send.call(this, this.session ? packetsThatFit(this.session, packets) : packets);
  };
  if (internals.protocol === 3) internals.parser = codec3(internals.parser);
  if (isJsonp) countJsonpPackets(internals);
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
    // The response that opens a session does not show that the client will poll.
    const isPoll = !isOpening;
    isOpening = false;
    const reportRead = () => {
      const { session } = internals;
      if (isPoll && session) session.shared.slowConsumers.read(session);
    };
    reportRead();
    res.once("finish", () => {
      internals.unreadBytes = 0;
      reportRead();
      done();
    });
    res.once("close", () => {
      if (!res.writableFinished) internals.onError("the client did not take the response to a poll");
    });
    doWrite.call(this, data, options, () => {});
  };
  return transport as T & SessionTransport;
}

/**
 * The packets that fit into one response; the others wait for the next poll. This way each poll shows how
 * much the client reads, and the amount that is encoded and compressed at a time is bounded.
 */
function packetsThatFit(session: Session, packets: TransportPacket[]): TransportPacket[] {
  const { maxBatchBytes } = session.shared;
  // A session that is closing sends everything: its last response carries the close packet.
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

/** Calls back once all packets received over this transport are handled. */
function whenIdle({ session }: Internals, done: () => void): void {
  if (session) session.shared.pacer.whenIdle(session, done);
  else done();
}

/** The Engine.IO 3 codec with a faster payload decoder. */
function codec3(stock: PayloadCodec): PayloadCodec {
  const decode = (packet: Payload) => stock.decodePacket(packet, undefined, false);
  fastCodec3 ??= { ...stock, decodePayload: (payload, take) => decodePayload3(payload, decode, take) };
  return fastCodec3;
}

/** With JSONP a payload is a form field, which must be decoded before its packets can be counted. */
function countJsonpPackets(transport: Internals): void {
  const { parser } = transport;
  const decodePayload: PayloadCodec["decodePayload"] = (payload, take) => {
    const { session, protocol } = transport;
    const isAdmitted = session?.shared.packets.admits(session, countPackets(payload, protocol));
    return isAdmitted ? parser.decodePayload(payload, take) : [];
  };
  transport.parser = { ...parser, decodePayload };
}

let fastCodec3: PayloadCodec | undefined;

/** Handles a POST as the stock transport does, except for how the body is buffered and read. */
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
      response.writeHead(413, { connection: "close" }).end();
      return release();
    }
    // A request also emits "close" after it was read completely.
    request.off("close", cutShort);
    response.on("close", cutShort);
    body.release();
    readInTurns(this, isBinary ? bytes : bytes.toString(), () => {
      // text/html, because some browsers offer text/plain as a download.
      response.writeHead(200, this.headers(request, { "Content-Type": "text/html", "Content-Length": "2" }));
      response.end("ok");
      release();
    });
  });
}

/** Reads a payload over several event loop turns, and no faster than the client's byte rate allows. */
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

/** Accounts for the memory of a POST body that is still arriving. */
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
