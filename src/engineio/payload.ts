/** The body of a POST: the packets of a session in one string, or in the binary form of Engine.IO 3. */
export type Payload = string | Buffer;

/** Returns where the packet that starts at `at` ends, or -1 if it is malformed. */
type EndOf = (payload: Payload, at: number) => number;

const separator = "\x1e";

/** More digits than any packet's length has. Stock Engine.IO reads any number of digits. */
const maxLengthDigits = 16;

/** How much of a payload is read in one event loop turn, in bytes or characters. */
const turnLength = 131_072;

const endInVersion4: EndOf = (payload, at) => {
  const end = payload.indexOf(separator, at);
  return end < 0 ? payload.length : end + 1;
};

/** `5:42[…]`: the length in characters, a colon, and the packet. */
const endInVersion3: EndOf = (payload, at) => {
  const digits = payload.slice(at, at + maxLengthDigits).indexOf(":");
  return endAfter(payload, at + digits + 1, digits < 1 ? "" : (payload.slice(at, at + digits) as string));
};

/** 0 for a string or 1 for binary data, then a byte per digit of the length in bytes, 255, and the packet. */
const endInBinary: EndOf = (payload, at) => {
  const header = (payload as Buffer).subarray(at, at + maxLengthDigits);
  const digits = header.indexOf(255);
  return endAfter(payload, at + digits + 1, digits < 2 ? "" : header.subarray(1, digits).join(""));
};

function endAfter(payload: Payload, start: number, length: string): number {
  const end = start + (length === "" ? Number.NaN : Number(length));
  return end >= start && end <= payload.length ? end : -1;
}

const endIn = (payload: Payload, protocol: number): EndOf =>
  typeof payload !== "string" ? endInBinary : protocol === 3 ? endInVersion3 : endInVersion4;

/** Counts the packets of a payload without decoding them. A malformed packet is counted as the last one. */
export function countPackets(payload: Payload, protocol: number): number {
  const endOf = endIn(payload, protocol);
  let count = 1;
  for (let at = endOf(payload, 0); at >= 0 && at < payload.length; at = endOf(payload, at)) count++;
  return count;
}

/** Splits a long payload between packets, so that it can be read over several event loop turns. */
export function turnsOf(payload: Payload, protocol: number): Payload[] {
  const endOf = endIn(payload, protocol);
  const turns: Payload[] = [];
  for (let start = 0, end = 0; end < payload.length; start = end) {
    while (end >= 0 && end < payload.length && end - start < turnLength) end = endOf(payload, end);
    if (end < 0) end = payload.length;
    // In version 4 a separator stands between two packets: drop the one at the cut.
    const isCut = endOf === endInVersion4 && end < payload.length;
    turns.push(payload.slice(start, isCut ? end - 1 : end));
  }
  return turns.length > 0 ? turns : [payload];
}

const malformed = { type: "error", data: "parser error" };

/**
 * Decodes an Engine.IO 3 payload. Stock Engine.IO reads it character by character: 1 MB takes up to 0.3 s.
 *
 * @param decode decodes one packet
 * @param take called with each packet, and with an error packet last if the payload is malformed; returning
 * false stops decoding
 */
export function decodePayload3(
  payload: Payload,
  decode: (packet: Payload) => object,
  take: (packet: object) => unknown,
): void {
  const isText = typeof payload === "string";
  const endOf = endIn(payload, 3);
  if (payload === "") take(malformed);
  for (let at = 0; at < payload.length; ) {
    const end = endOf(payload, at);
    if (end < 0) return void take(malformed);
    const start = (isText ? payload.indexOf(":", at) : payload.indexOf(255, at)) + 1;
    const packet = payload.slice(start, end);
    const isString = !isText && payload[at] === 0;
    // Stock Engine.IO skips empty packets in the text form.
    if (!isText || packet.length > 0) {
      if (take(decode(isString ? packet.toString() : packet)) === false) return;
    }
    at = end;
  }
}
