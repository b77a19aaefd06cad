import type { Random } from "../support/random.ts";
import type { Packet, Version } from "./conversation.ts";

/** What may be said of a frame, right or wrong (RFC 6455, 5.2). */
interface Header {
  fin?: boolean;
  reserved?: number;
  masked?: boolean;
  /** Where not given, the length that the data has. */
  length?: bigint;
}

const [continuation, textual, binary, close, ping, pong] = [0, 1, 2, 8, 9, 10] as const;

/** A client's frame. Its mask is zero, so that what was sent can be read in a report. */
export function frame(opcode: number, data: Buffer, header: Header = {}): Buffer {
  const { fin = true, reserved = 0, masked = true, length = BigInt(data.length) } = header;
  const size = length < 126n ? Number(length) : length < 65_536n ? 126 : 127;
  const start = Buffer.alloc(size < 126 ? 2 : size === 126 ? 4 : 10);
  start[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  start[1] = (masked ? 0x80 : 0) | size;
  if (size === 126) start.writeUInt16BE(Number(length), 2);
  if (size === 127) start.writeBigUInt64BE(length, 2);
  return Buffer.concat([start, Buffer.alloc(masked ? 4 : 0), data]);
}

/** A packet in a frame of its own, or now and then in fragments with a ping between them. */
export function framed(random: Random, packet: Packet, version: Version): Buffer {
  const opcode = packet.binary ? binary : textual;
  const marked = packet.binary && version === 3;
  const data = marked ? Buffer.concat([Buffer.from([4]), packet.data]) : packet.data;
  if (random.chance(0.95)) return frame(opcode, data);
  const at = random.between(0, data.length);
  return Buffer.concat([
    frame(opcode, data.subarray(0, at), { fin: false }),
    random.chance(0.5) ? frame(ping, random.bytes(4)) : Buffer.alloc(0),
    frame(continuation, data.subarray(at)),
  ]);
}

/** Frames that a server must refuse, or bear with. */
export function malformed(random: Random): Buffer {
  return random.pick(malformations)(random);
}

const some = Buffer.from('42["join","lobby"]');
const word = (code: number): Buffer => Buffer.from([code >> 8, code & 255]);

const malformations: readonly ((random: Random) => Buffer)[] = [
  (random) => frame(random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), some),
  (random) => frame(random.pick([textual, binary, ping, close]), some, { reserved: random.between(1, 7) }),
  () => frame(textual, some, { masked: false }),
  () => frame(continuation, some),
  () => Buffer.concat([frame(textual, some, { fin: false }), frame(textual, some)]),
  (random) => Buffer.concat(random.several(1, 40, (n) => frame(n ? 0 : textual, some, { fin: false }))),
  (random) =>
    frame(textual, some, { length: random.pick([19n, 65_536n, 2n ** 31n, 2n ** 53n, 2n ** 64n - 1n]) }),
  (random) =>
    frame(
      close,
      word(random.pick([0, 999, 1000, 1001, 1004, 1005, 1006, 1012, 1015, 2999, 3000, 4999, 65_535])),
    ),
  () => frame(close, Buffer.from([3])),
  () => frame(close, Buffer.concat([word(1000), Buffer.from([0xff, 0xfe])])),
  () => Buffer.concat([frame(close, word(1000)), frame(textual, some)]),
  () => frame(ping, Buffer.alloc(126)),
  () => frame(ping, some, { fin: false }),
  (random) => Buffer.concat(random.several(5, 60, () => frame(ping, random.bytes(8)))),
  (random) => Buffer.concat(random.several(5, 60, () => frame(pong, random.bytes(8)))),
  () => frame(textual, Buffer.from([0xc3, 0x28])),
  (random) => random.bytes(random.between(1, 60)),
];
