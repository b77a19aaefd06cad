import { Decoder, PacketType } from "socket.io-parser";
import { ownMemory } from "../engineio/frame.ts";
import { chunkBytes } from "../engineio/frame-scanner.ts";
import type { Session } from "../engineio/session.ts";
import { AwaitedPacket } from "./awaited-packet.ts";
import { type DecoderInternals, isPayloadValid } from "./internals.ts";
import { attachmentsOf, namespaceOf } from "./packet-prefix.ts";
import { longestHeadChars } from "./packet-sizes.ts";
import { binaryEvent, type EventPacket, oversizedEvent } from "./placeholder-events.ts";

/** Cost of parsing JSON other than strings, relative to a string of the same length. */
const parseFactor = 8;

/** The memory of parsed JSON, in multiples of its length. */
const jsonFactor = 20;
const [slash, zero, two, nine, bracket] = [..."/029["].map((char) => char.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
];

/** Handles the events of a client on one namespace without Socket.IO's own dispatch, which takes longer. */
export interface EventReceiver {
  readonly namespace: string;
  /** @returns false if Socket.IO has to dispatch the event, for listeners or middleware of the application */
  receive(args: unknown[], ackId: number | undefined): boolean;
}

/** The limits that all decoders of a server share. */
export interface DecoderBounds {
  /** The maximum size of a packet with its attachments. */
  maxPayloadBytes: number;
  /** The maximum length of a handshake. */
  maxHandshakeChars: number;
  /** The maximum length of an event, except on namespaces of an application. */
  maxEventChars: number;
  /** Whether a namespace belongs to an application, whose events may have any size and shape. */
  isApplications(namespace: string): boolean;
}

const noReceivers: readonly EventReceiver[] = [];

const unbounded: DecoderBounds = {
  maxPayloadBytes: Number.POSITIVE_INFINITY,
  maxHandshakeChars: longestHeadChars,
  maxEventChars: Number.POSITIVE_INFINITY,
  isApplications: () => true,
};

/**
 * Socket.IO's decoder, with a fast path for the most frequent packet: an event without attachments. All other
 * packets, and malformed ones, take the stock path (Socket.IO protocol 5, packet encoding). Large and binary
 * events, which `/` and `/chat` never accept, are not parsed: the decoder passes on placeholders, which the
 * validation refuses.
 */
export class FastDecoder extends Decoder {
  readonly #bounds: DecoderBounds;
  readonly #session: Session | undefined;
  /** On the namespaces that the client is connected to; most clients use one. */
  #receivers: readonly EventReceiver[] = noReceivers;
  /** A packet whose attachments are still arriving. */
  declare private awaited?: AwaitedPacket | undefined;

  constructor(bounds: DecoderBounds = unbounded, session?: Session) {
    super();
    this.#bounds = bounds;
    this.#session = session;
  }

  addReceiver(receiver: EventReceiver): void {
    this.#receivers = [...this.#receivers, receiver];
  }

  /** From now on Socket.IO dispatches the events of a namespace, which the client has left. */
  removeReceiver(namespace: string): void {
    this.#receivers = this.#receivers.filter((receiver) => receiver.namespace !== namespace);
  }

  override add(data: unknown): void {
    if (typeof data === "string") this.#read(data);
    else this.#attach(data as Buffer);
  }

  #read(data: string): void {
    if (this.awaited) throw new Error("expected an attachment, got text");
    const { maxEventChars, isApplications } = this.#bounds;
    if (data.length > maxEventChars && !isApplications(namespaceOf(data))) {
      this.#pass(oversizedEvent(data));
      return;
    }
    const packet = this.#event(data);
    if (packet) {
      if (isCostly(packet.data)) this.#charge(data, packet.nsp);
      this.#pass(packet);
    } else this.#begin(data);
  }

  override destroy(): void {
    this.#hold(0);
    super.destroy();
  }

  #pass(packet: EventPacket): void {
    for (const receiver of this.#receivers)
      if (receiver.namespace === packet.nsp && receiver.receive(packet.data, packet.id)) return;
    (this as unknown as DecoderInternals).emitReserved("decoded", packet);
  }

  /** Reads a packet that is kept for a while: a handshake, or a packet that awaits attachments. */
  #begin(text: string): void {
    const maxChars = /^[56]/.test(text) ? longestHeadChars : this.#bounds.maxHandshakeChars;
    if (text.length > maxChars && !/^[23]/.test(text)) {
      throw new Error("the text part of the packet is too large");
    }
    if (!/^[56]/.test(text)) {
      // Socket.IO handles a DISCONNECT in the next tick; events that follow must not overtake it.
      if (text[0] === "1") this.removeReceiver(namespaceOf(text));
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

  /** Reads an attachment. The stock decoder limits their number and the size of each, but not their total. */
  #attach(data: Buffer): void {
    const { awaited } = this;
    if (!awaited) throw new Error("unexpected attachment");
    awaited.bytes += data.byteLength;
    if (awaited.bytes > this.#bounds.maxPayloadBytes) throw new Error("the packet is too large");
    if (awaited.skipped > 0) {
      if (--awaited.skipped > 0) return;
      this.#hold(0);
      this.#charge(awaited.head, "");
      this.#pass(binaryEvent(awaited.head));
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
    if (!isPayloadValid(PacketType.EVENT, payload)) return undefined;
    const args = payload as unknown[];
    return id === undefined
      ? { type: PacketType.EVENT, nsp, data: args }
      : { type: PacketType.EVENT, nsp, id, data: args };
  }
}

const maxCheapArguments = 8;

/**
 * Whether an event costs more to parse than the events of `/` and `/chat`, which have few arguments, all
 * strings.
 */
function isCostly(args: readonly unknown[]): boolean {
  return args.length > maxCheapArguments || args.some((arg) => typeof arg === "object" && arg !== null);
}

/** The decoder class of a server. @param opening returns the session that a decoder is being created for */
export function decoderFor(bounds: DecoderBounds, opening: () => Session | undefined): typeof Decoder {
  return class extends FastDecoder {
    constructor() {
      super(bounds, opening());
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
