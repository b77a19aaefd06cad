import { PacketType } from "socket.io-parser";
import { Unread } from "../namespaces/validate.ts";
import { isPayloadValid } from "./internals.ts";
import { attachmentsOf, prefixOf } from "./packet-prefix.ts";

/** An event as a decoder passes it on. */
export interface EventPacket {
  type: PacketType.EVENT;
  nsp: string;
  id?: number;
  data: unknown[];
}

/**
 * Decodes only the name of an event that is too long to be parsed.
 *
 * @throws {Error} if the packet is no event
 */
export function oversizedEvent(text: string): EventPacket {
  const prefix = prefixOf(text);
  const [name] = text.slice(prefix[0].length, prefix[0].length + 1_024).match(/^\["(?:[^"\\]|\\.)*"/) ?? [];
  if (text[0] !== "2" || name === undefined) throw new Error("the packet is too large");
  return eventOf(prefix, [...JSON.parse(`${name}]`), new Unread(text.length)]);
}

const binary = new Uint8Array(0);

/** Decodes an event whose attachments no handler accepts: empty binary data replaces each object. */
export function binaryEvent(text: string): EventPacket {
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

function eventOf([, , nsp = "/", id = ""]: string[], data: unknown[]): EventPacket {
  if (!isPayloadValid(PacketType.EVENT, data)) throw new Error("invalid payload");
  return id === ""
    ? { type: PacketType.EVENT, nsp, data }
    : { type: PacketType.EVENT, nsp, id: Number(id), data };
}
