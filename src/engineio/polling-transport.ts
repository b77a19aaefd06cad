import type { IncomingMessage, ServerResponse } from "node:http";
import type { ServerOptions, Transport } from "engine.io";
import { ByteRate } from "../limits/byte-rate.ts";
import { type Data, memoryOf } from "./frame.ts";
import {
  type EngineRequest,
  type InboundPacket,
  type PollingConstructor,
  StockJsonp,
  StockPolling,
  type TransportPacket,
} from "./internals.ts";
import { countPackets } from "./payload.ts";
import { codecFor } from "./payload-codec.ts";
import { takePost } from "./post.ts";
import { packetBytes, type Session, type SessionTransport, type Traffic } from "./session.ts";

/** How long a client has for one more poll, which tells it that its session is closed, in milliseconds. */
const closeTimeoutMs = 1_000;

/**
 * Engine.IO's polling transport, which also counts its traffic and sends a response only after the client has
 * taken the one before. Stock polling forgets a response as soon as it is written: for a client that polls
 * but never reads, responses would pile up. Stock polling also keeps a closed session for half a minute if
 * its client no longer polls, and reads payloads with any number of packets.
 */
const bounded = (Base: PollingConstructor) =>
  class BoundedPolling extends Base implements SessionTransport {
    session: Session | undefined = undefined;
    /** Size of the last response if the client has not taken it yet, in bytes. */
    unreadBytes = 0;
    readonly #traffic: Traffic;
    /** Undefined until the client's first POST. */
    #rate: ByteRate | undefined = undefined;
    #isReading = false;
    #isOpening = true;

    constructor(request: EngineRequest, options: ServerOptions, traffic: Traffic) {
      super(request);
      this.#traffic = traffic;
      this.closeTimeout = closeTimeoutMs;
      this.maxHttpBufferSize = options.maxHttpBufferSize as number;
      this.httpCompression = options.httpCompression;
      this.parser = codecFor(this.parser, this.protocol, request._query);
      if (request._query.j !== undefined) this.#countJsonpPackets();
    }

    get isGone(): boolean {
      return false;
    }

    // While a client is held back, its POST is not answered, and it sends no other.
    pause(): void {}
    resume(): void {}

    /** @returns the milliseconds to wait before reading more */
    charge(bytes: number): number {
      const now = performance.now();
      this.#rate ??= new ByteRate((this.session as Session).shared.bounds, now);
      return this.#rate.take(bytes, now);
    }

    end(): void {
      this.discard();
    }

    /** Calls back once all packets received over this transport are handled. */
    whenIdle(done: () => void): void {
      const { session } = this;
      if (session) session.shared.pacer.whenIdle(session, done);
      else done();
    }

    /** Calls back once a POST of this size may be answered. */
    whenAnswerable(bytes: number, done: () => void): void {
      const { session } = this;
      if (session) session.whenAnswerable(bytes, done);
      else done();
    }

    override onDataRequest(request: IncomingMessage, response: ServerResponse): void {
      takePost(this, request, response);
    }

    override onData(data: string | Buffer): void {
      this.#isReading = true;
      try {
        super.onData(data);
      } finally {
        this.#isReading = false;
      }
    }

    override onPacket(packet: InboundPacket): void {
      if (this.session?.transport === this) this.session.receive(packet);
    }

    override onClose(): void {
      // The client's close packet may follow other packets of the payload, which are handled first.
      if (this.#isReading) this.whenIdle(() => this.#close());
      else this.#close();
    }

    #close(): void {
      super.onClose();
      const { res } = this;
      // A client that does not take the last response would keep it open forever.
      if (res) setTimeout(() => res.destroy(), closeTimeoutMs).unref();
    }

    override send(packets: TransportPacket[]): void {
      super.send(this.session ? packetsThatFit(this.session, packets) : packets);
    }

    override doWrite(data: string | Buffer, options: object, done: () => void): void {
      const { res } = this;
      const size = Buffer.byteLength(data);
      this.#traffic.bytesOut += size;
      this.unreadBytes = size;
      // The response that opens a session does not show that the client will poll.
      const isPoll = !this.#isOpening;
      this.#isOpening = false;
      const reportRead = () => {
        if (isPoll && this.session) this.session.shared.slowConsumers.read(this.session);
      };
      reportRead();
      res.once("finish", () => {
        this.unreadBytes = 0;
        reportRead();
        done();
      });
      res.once("close", () => {
        if (!res.writableFinished) this.onError("the client did not take the response to a poll");
      });
      super.doWrite(data, options, () => {});
    }

    /** With JSONP a payload is a form field, which must be decoded before its packets can be counted. */
    #countJsonpPackets(): void {
      const { parser, protocol } = this;
      this.parser = {
        ...parser,
        decodePayload: (payload, take) => {
          const { session } = this;
          const isAdmitted = session?.shared.packets.admits(session, countPackets(payload, protocol));
          return isAdmitted ? parser.decodePayload(payload, take) : [];
        },
      };
    }
  };

type PollingTransport = new (
  request: EngineRequest,
  options: ServerOptions,
  traffic: Traffic,
) => InstanceType<PollingConstructor> & SessionTransport;

const BoundedPolling: PollingTransport = bounded(StockPolling);
const BoundedJsonp: PollingTransport = bounded(StockJsonp);

/** Creates the transport of a polling client, which may use JSONP. */
export function pollingTransport(
  request: EngineRequest,
  options: ServerOptions,
  traffic: Traffic,
): Transport & SessionTransport {
  const Class = request._query.j === undefined ? BoundedPolling : BoundedJsonp;
  return new Class(request, options, traffic) as unknown as Transport & SessionTransport;
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
