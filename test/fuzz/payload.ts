import type { Version } from "../support/http.ts";
import type { Packet } from "./conversation.ts";

/** The body of a POST and its content type. */
export interface Payload {
  body: Buffer;
  type: string;
}

/** The forms in which a polling client may send packets. */
export type Form = "text" | "binary" | "jsonp";

/** Packets as the body of one POST; only Engine.IO 3 has a binary form. */
export function payload(packets: readonly Packet[], version: Version, form: Form): Payload {
  if (version === 3 && form === "binary") return { body: binary(packets), type: "application/octet-stream" };
  const body = version === 3 ? counted(packets) : separated(packets);
  if (form !== "jsonp") return { body, type: "text/plain;charset=UTF-8" };
  const escaped = encodeURIComponent(body.toString().replaceAll("\n", "\\n"));
  return { body: Buffer.from(`d=${escaped}`), type: "application/x-www-form-urlencoded" };
}

/** Engine.IO 4: packets separated by a record separator. */
function separated(packets: readonly Packet[]): Buffer {
  const parts = packets.flatMap((packet) => [Buffer.from("\x1e"), armored(packet, "b")]);
  return Buffer.concat(parts.slice(1));
}

/** Engine.IO 3: each packet preceded by its length in characters. */
function counted(packets: readonly Packet[]): Buffer {
  const parts = packets.flatMap((packet) => {
    const data = armored(packet, "b4");
    return [Buffer.from(`${data.toString().length}:`), data];
  });
  return Buffer.concat(parts);
}

/** Engine.IO 3, binary: a byte for text or binary, the digits of the length, 255, the packet. */
function binary(packets: readonly Packet[]): Buffer {
  const parts = packets.flatMap((packet) => {
    const data = packet.binary ? Buffer.concat([Buffer.from([4]), packet.data]) : packet.data;
    return [Buffer.from([packet.binary ? 1 : 0, ...[...String(data.length)].map(Number), 255]), data];
  });
  return Buffer.concat(parts);
}

const armored = ({ binary, data }: Packet, mark: string): Buffer =>
  binary ? Buffer.from(mark + data.toString("base64")) : data;
