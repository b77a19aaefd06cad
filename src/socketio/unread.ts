import { PacketType } from "socket.io-parser";
import type { Session } from "../engineio/session.ts";
import type { Unfinished } from "../limits/inbound-memory.ts";
import { Unread } from "../namespaces/validate.ts";
import { isPayloadValid } from "./internals.ts";

/** The maximum that the stock socket.io-parser accepts. */
const maxAttachments = 10;

/**
 * The type, number of attachments, namespace and ack id that precede a packet's JSON (Socket.IO protocol 5).
 */
const head = /^\d(?:(\d+)-)?(?:(\/[^,]*),)?(\d*)/;

/** A packet whose attachments are still arriving. */
export class AwaitedPacket implements Unfinished {
  /** The packet without its attachments. */
  readonly head: string;
  /** The bytes received so far. */
  bytes: number;
  /** Its memory, including the attachments received so far. */
  heldBytes = 0;
  /** The number of attachments still to be skipped, because no handler accepts them. */
  skipped = 0;
  readonly #session: Session | undefined;

  constructor(head: string, session: Session | undefined) {
    // A copy: a slice would keep the larger string in memory.
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

/** The number of attachments that a packet announces. @throws {Error} if the number is missing or invalid */
export function attachmentsOf(text: string): number {
  const count = Number(prefixOf(text)[1]);
  if (!(count >= 1 && count <= maxAttachments)) throw new Error("illegal attachments");
  return count;
}

/**
 * Decodes only the name of an event that is too long to be parsed.
 *
 * @throws {Error} if the packet is no event
 */
export function unreadEvent(text: string): object {
  const prefix = prefixOf(text);
  const [name] = text.slice(prefix[0].length, prefix[0].length + 1_024).match(/^\["(?:[^"\\]|\\.)*"/) ?? [];
  if (text[0] !== "2" || name === undefined) throw new Error("the packet is too large");
  return eventOf(prefix, [...JSON.parse(`${name}]`), new Unread(text.length)]);
}

const binary = new Uint8Array(0);

/** Decodes an event whose attachments no handler accepts: empty binary data replaces each object. */
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
  if (!isPayloadValid(PacketType.EVENT, data)) throw new Error("invalid payload");
  return id === ""
    ? { type: PacketType.EVENT, nsp, data }
    : { type: PacketType.EVENT, nsp, id: Number(id), data };
}

const prefixOf = (text: string): string[] & { 0: string } => (text.match(head) ?? [""]) as [string];
