import { Decoder } from "socket.io-parser";
import { type DecoderInternals, isPayloadValid } from "./internals.ts";

const event = 2;

/** JSON costs some twenty times its length once it is parsed. */
const longestHeadChars = 65_536;
const [slash, zero, two, nine, bracket] = [..."/029["].map((one) => one.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
];

/**
 * Socket.IO's decoder, with a short way for the packet that comes most: an event that is a text. All else, and
 * all that is wrong, takes the stock way (Socket.IO protocol 5, packet encoding).
 */
export class FastDecoder extends Decoder {
  /** The largest packet that a client may send, its attachments together, in bytes. */
  get maxBytes(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** Of the packet whose attachments are coming. */
  declare private comingBytes?: number;

  override add(data: unknown): void {
    const packet = typeof data === "string" ? this.#event(data) : undefined;
    if (packet) (this as unknown as DecoderInternals).emitReserved("decoded", packet);
    else if (typeof data === "string") this.#begin(data);
    else this.#attach(data as Buffer);
  }

  /** Takes a packet that is kept for a while, parsed: a handshake, or what attachments are to come for. */
  #begin(text: string): void {
    if (text.length > longestHeadChars && !/^[234]/.test(text)) {
      throw new Error("the head of the packet is larger than it may be");
    }
    this.comingBytes = text.length;
    super.add(text);
  }

  /** Takes an attachment; the stock decoder bounds how many there are, and each, but not all together. */
  #attach(data: Buffer): void {
    this.comingBytes = (this.comingBytes ?? 0) + data.byteLength;
    if (this.comingBytes > this.maxBytes) throw new Error("the packet is larger than it may be");
    super.add(data);
  }

  #event(text: string): object | undefined {
    if (text.charCodeAt(0) !== two || (this as unknown as DecoderInternals).reconstructor) return undefined;
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
    return id === undefined ? { type: event, nsp, data: payload } : { type: event, nsp, id, data: payload };
  }
}

/** The decoder of a server whose clients may send packets of so many bytes. */
export function decoderFor(maxBytes: number): typeof FastDecoder {
  return class extends FastDecoder {
    override get maxBytes(): number {
      return maxBytes;
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
