import type { IncomingMessage, ServerResponse } from "node:http";
import type { Unfinished } from "../limits/inbound-memory.ts";
import { readBody } from "./body.ts";
import { memoryOf } from "./frame.ts";
import type { PollingInternals } from "./internals.ts";
import { countPackets, type Payload, turnsOf } from "./payload.ts";
import type { Session } from "./session.ts";

/** A polling transport, as its POSTs use it. */
export interface PostTransport
  extends Pick<PollingInternals, "protocol" | "readyState" | "dataReq" | "dataRes" | "maxHttpBufferSize">,
    Pick<PollingInternals, "headers" | "onData" | "onError"> {
  session: Session | undefined;
  /** @returns the milliseconds to wait before reading more */
  charge(bytes: number): number;
  /** Calls back once all packets received over this transport are handled. */
  whenIdle(done: () => void): void;
  /** Calls back once a POST of this size may be answered. */
  whenAnswerable(bytes: number, done: () => void): void;
}

/** Handles a POST as the stock transport does, except for how the body is buffered and read. */
export function takePost(transport: PostTransport, request: IncomingMessage, response: ServerResponse): void {
  const isBinary = request.headers["content-type"] === "application/octet-stream";
  if (transport.dataReq || (isBinary && transport.protocol === 4)) {
    transport.onError(isBinary ? "invalid content" : "data request overlap from client");
    response.writeHead(400).end();
    return;
  }
  transport.dataReq = request;
  transport.dataRes = response;
  const body = new Body(transport);
  const release = () => {
    body.release();
    request.off("close", cutShort);
    response.off("close", cutShort);
    transport.dataReq = null;
    transport.dataRes = null;
  };
  const cutShort = () => {
    release();
    transport.onError("data request connection closed prematurely");
  };
  request.on("close", cutShort);
  readBody(request, transport.maxHttpBufferSize, body.hold, (bytes) => {
    if (bytes === undefined) {
      response.writeHead(413, { connection: "close" }).end();
      transport.session?.close("packet too large");
      return release();
    }
    // A request also emits "close" after it was read completely.
    request.off("close", cutShort);
    response.on("close", cutShort);
    const payload = isBinary ? bytes : bytes.toString();
    body.complete(memoryOf(payload));
    readInTurns(transport, payload, body, () => {
      // text/html, because some browsers offer text/plain as a download.
      const headers = { "Content-Type": "text/html", "Content-Length": "2" };
      response.writeHead(200, transport.headers(request, headers));
      response.end("ok");
      release();
    });
  });
}

/** Reads a payload over several event loop turns, and no faster than the client's byte rate allows. */
function readInTurns(transport: PostTransport, payload: Payload, body: Body, done: () => void): void {
  const { protocol } = transport;
  const session = transport.session as Session;
  const { packets, traffic } = session.shared;
  const bytes = Buffer.byteLength(payload);
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
    if (turns.length > 0) transport.whenIdle(() => setImmediate(next));
    else transport.whenAnswerable(bytes, answer);
  };
  const answer = () => {
    body.release();
    const waitMs = transport.charge(0);
    if (waitMs > 0) setTimeout(done, waitMs);
    else done();
  };
  next();
}

/** Accounts for the memory of a POST body until its packets are handled. */
class Body implements Unfinished {
  isComplete = false;
  readonly #transport: PostTransport;

  constructor(transport: PostTransport) {
    this.#transport = transport;
  }

  readonly hold = (bytes: number): void => this.#transport.session?.shared.inbound.hold(this, bytes);

  /** All of it has arrived; it may still wait behind slow readers. */
  complete(bytes: number): void {
    this.isComplete = true;
    this.hold(bytes);
  }

  release(): void {
    this.hold(0);
  }

  evict(): void {
    this.#transport.session?.close("unfinished packet");
  }
}
