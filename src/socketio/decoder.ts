import { Decoder } from "socket.io-parser";
import { ownMemory } from "../engineio/frame.ts";
import { chunkBytes } from "../engineio/frame-scanner.ts";
import type { Session } from "../engineio/session.ts";
import { longestHeadChars, parseFactor } from "../limits/numbers.ts";
import { type DecoderInternals, isPayloadValid } from "./internals.ts";
import { AwaitedPacket, attachmentsOf, binaryEvent, namespaceOf, unreadEvent } from "./unread.ts";

const event = 2;

/** What JSON costs once it is parsed, in times of its length. */
const jsonFactor = 20;
const [slash, zero, two, nine, bracket] = [..."/029["].map((one) => one.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
];

/** What decoders of a server share. */
export interface DecoderBounds {
  /** Of a packet and its attachments together. */
  maxPayloadBytes: number;
  /** Of a packet that is kept for a while: a handshake, or the head of one with attachments. */
  maxHeadChars: number;
  /** Of an event where no application expects larger ones. */
  maxEventChars: number;
  /** Whether packets on this namespace are an application's, of any size and shape. */
  isApplications(namespace: string): boolean;
}

const unbounded: DecoderBounds = {
  maxPayloadBytes: Number.POSITIVE_INFINITY,
  maxHeadChars: longestHeadChars,
  maxEventChars: Number.POSITIVE_INFINITY,
  isApplications: () => true,
};

/**
 * Socket.IO's decoder, with a short way for the packet that comes most: an event that is a text. All else, and
 * all that is wrong, takes the stock way (Socket.IO protocol 5, packet encoding). Events that no namespace can want,
 * large or binary ones, are not parsed but passed on as refused.
 */
export class FastDecoder extends Decoder {
  readonly #bounds: DecoderBounds;
  readonly #session: Session | undefined;
  /** A packet whose attachments are coming. */
  declare private awaited?: AwaitedPacket | undefined;

  constructor(bounds: DecoderBounds = unbounded, session?: Session) {
    super();
    this.#bounds = bounds;
    this.#session = session;
  }

  override add(data: unknown): void {
    if (typeof data === "string") this.#read(data);
    else this.#attach(data as Buffer);
  }

  #read(data: string): void {
    if (this.awaited) throw new Error("a text came instead of an attachment");
    const { maxEventChars, isApplications } = this.#bounds;
    if (data.length > maxEventChars && !isApplications(namespaceOf(data))) {
      this.#decoded(unreadEvent(data));
      return;
    }
    const packet = this.#event(data);
    if (packet) {
      if (isCostly(packet.data)) this.#charge(data, packet.nsp);
      this.#decoded(packet);
    } else this.#begin(data);
  }

  override destroy(): void {
    this.#hold(0);
    super.destroy();
  }

  #decoded(packet: object): void {
    (this as unknown as DecoderInternals).emitReserved("decoded", packet);
  }

  /** Takes a packet that is kept for a while, parsed: a handshake, or what attachments are to come for. */
  #begin(text: string): void {
    if (text.length > this.#bounds.maxHeadChars && !/^[23]/.test(text)) {
      throw new Error("the head of the packet is larger than it may be");
    }
    if (!/^[56]/.test(text)) {
      this.#charge(text, namespaceOf(text));
      super.add(text);
      return;
    }
    const awaited = new AwaitedPacket(text, this.#session);
    if (text[0] === "5" && !this.#bounds.isApplications(namespaceOf(text))) {
      awaited.skipped = attachmentsOf(text);
      this.awaited = awaited;
      this.#hold(text.length);
    } else {
      super.add(awaited.head);
      this.awaited = awaited;
      this.#hold(text.length * jsonFactor);
    }
  }

  /** Takes an attachment; the stock decoder bounds how many there are, and each, but not all together. */
  #attach(data: Buffer): void {
    const { awaited } = this;
    if (!awaited) throw new Error("an attachment came that no packet has announced");
    awaited.bytes += data.byteLength;
    if (awaited.bytes > this.#bounds.maxPayloadBytes) throw new Error("the packet is larger than it may be");
    if (awaited.skipped > 0) {
      if (--awaited.skipped > 0) return;
      this.#hold(0);
      this.#charge(awaited.head, "");
      this.#decoded(binaryEvent(awaited.head));
      return;
    }
    this.#hold(awaited.heldBytes + data.byteLength + chunkBytes);
    super.add(ownMemory(data));
    if (!(this as unknown as DecoderInternals).reconstructor) this.#hold(0);
  }

  #hold(bytes: number): void {
    const { awaited } = this;
    if (!awaited) return;
    awaited.heldBytes = bytes;
    this.#session?.shared.inbound.hold(awaited, bytes);
    if (bytes === 0) this.awaited = undefined;
  }

  #charge(json: string, nsp: string): void {
    if (!this.#session || this.#bounds.isApplications(nsp)) return;
    this.#session.transport?.charge(json.length * (parseFactor - 1));
  }

  #event(text: string): EventPacket | undefined {
    if (text.charCodeAt(0) !== two) return undefined;
    let at = 1;
    let nsp = "/";
    if (text.charCodeAt(1) === slash) {
      at = text.indexOf(",") + 1;
      if (at === 0) return undefined;
      nsp = text.slice(1, at - 1);
    }
    let id: number | undefined;
    for (let code = text.charCodeAt(at); code >= zero && code <= nine; code = text.charCodeAt(++at)) {
      id = (id ?? 0) * 10 + code - zero;
    }
    if (text.charCodeAt(at) !== bracket) return undefined;
    const payload = parsed(text.slice(at));
    if (!isPayloadValid(event, payload)) return undefined;
    const args = payload as unknown[];
    return id === undefined ? { type: event, nsp, data: args } : { type: event, nsp, id, data: args };
  }
}

interface EventPacket {
  type: 2;
  nsp: string;
  id?: number;
  data: unknown[];
}

const mostArguments = 8;

/** Whether an event is more than the texts that all events of a namespace consist of. */
function isCostly(args: readonly unknown[]): boolean {
  return args.length > mostArguments || args.some((arg) => typeof arg === "object" && arg !== null);
}

/** The decoder class of a server; `newest` is the session that a decoder is being made for. */
export function decoderFor(bounds: DecoderBounds, newest: () => Session | undefined): typeof Decoder {
  return class extends FastDecoder {
    constructor() {
      super(bounds, newest());
    }
  };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
