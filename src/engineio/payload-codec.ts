import type { PayloadCodec } from "./internals.ts";
import { decodePayload3, type Payload } from "./payload.ts";

/** The codecs for Engine.IO 3, which all transports share. */
let codec3: PayloadCodec | undefined;
let binaryCodec3: PayloadCodec | undefined;

/** The codec for a client's payloads. @param query the query of its opening request */
export function codecFor(stock: PayloadCodec, protocol: number, query: Record<string, string>): PayloadCodec {
  if (protocol !== 3) return stock;
  codec3 ??= withFastDecoder(stock);
  if (!wantsBinaryPayloads(query)) return codec3;
  binaryCodec3 ??= {
    ...codec3,
    encodePayload: (packets, _supportsBinary, done) => stock.encodePayloadAsBinary(packets, done),
  };
  return binaryCodec3;
}

function withFastDecoder(stock: PayloadCodec): PayloadCodec {
  const decode = (packet: Payload) => stock.decodePacket(packet, undefined, false);
  return { ...stock, decodePayload: (payload, take) => decodePayload3(payload, decode, take) };
}

/**
 * Whether this client's polls must be answered in the binary payload form of Engine.IO 3.
 *
 * Engine.IO 1.4, which the demo's page uses, mistakes the response to a poll for an empty "ok" unless its
 * type is application/octet-stream. Every browser build of 1.x and 2.x reads that form; Node's builds send
 * `b64`.
 */
function wantsBinaryPayloads(query: Record<string, string>): boolean {
  return query.EIO === "3" && !query.b64 && query.j === undefined;
}
