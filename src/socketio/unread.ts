import type { Session } from "../engineio/session.ts";
import type { Unfinished } from "../limits/inbound-memory.ts";
import { Unread } from "../namespaces/validate.ts";
import { isPayloadValid } from "./internals.ts";

const event = 2;

/** Stock socket.io-parser admits no more attachments. */
const maxAttachments = 10;

/** Type, attachments, namespace and ack id, as they stand before the JSON of a packet (Socket.IO protocol 5). */
const head = /^\d(?:(\d+)-)?(?:(\/[^,]*),)?(\d*)/;

/** A packet whose attachments are coming. */
export class AwaitedPacket implements Unfinished {
  /** The packet without its attachments. */
  readonly head: string;
  /** Received of it so far. */
  bytes: number;
  /** What it takes in memory, with the attachments that have come. */
  heldBytes = 0;
  /** How many attachments are still to be skipped, where nobody wants them. */
  skipped = 0;
  readonly #session: Session | undefined;

  constructor(head: string, session: Session | undefined) {
    // A part of a larger string would keep all of that.
    this.head = Buffer.from(head).toString();
    this.bytes = head.length;
    this.#session = session;
  }

  evict(): void {
    this.#session?.close("unfinished packet");
  }
}

/** The namespace that a packet is for. */
export function namespaceOf(text: string): string {
  return prefixOf(text)[2] ?? "/";
}

/** @throws {Error} where a packet does not say how many attachments follow */
export function attachmentsOf(text: string): number {
  const count = Number(prefixOf(text)[1]);
  if (!(count >= 1 && count <= maxAttachments)) throw new Error("illegal attachments");
  return count;
}

/** An event that is too long to be parsed, as far as its name. @throws {Error} where it is none */
export function unreadEvent(text: string): object {
  const prefix = prefixOf(text);
  const [name] = text.slice(prefix[0].length, prefix[0].length + 1_024).match(/^\["(?:[^"\\]|\\.)*"/) ?? [];
  if (text[0] !== "2" || name === undefined) throw new Error("the packet is larger than it may be");
  return eventOf(prefix, [...JSON.parse(`${name}]`), new Unread(text.length)]);
}

const binary = new Uint8Array(0);

/** An event with attachments, of which nobody wants any: in place of each object stands empty binary data. */
export function binaryEvent(text: string): object {
  const prefix = prefixOf(text);
  const args: unknown = JSON.parse(text.slice(prefix[0].length));
  if (!Array.isArray(args)) throw new Error("invalid payload");
  const attachments = attachmentsOf(text);
  return eventOf(
    prefix,
    args.map((arg) => withoutObject(arg, attachments)),
  );
}

function withoutObject(arg: unknown, attachments: number): unknown {
  if (typeof arg !== "object" || arg === null) return arg;
  const { _placeholder, num } = arg as { _placeholder?: unknown; num?: unknown };
  if (_placeholder === true && !(typeof num === "number" && num >= 0 && num < attachments)) {
    throw new Error("illegal attachments");
  }
  return binary;
}

function eventOf([, , nsp = "/", id = ""]: string[], data: unknown[]): object {
  if (!isPayloadValid(event, data)) throw new Error("invalid payload");
  return id === "" ? { type: event, nsp, data } : { type: event, nsp, id: Number(id), data };
}

const prefixOf = (text: string): string[] & { 0: string } => (text.match(head) ?? [""]) as [string];
