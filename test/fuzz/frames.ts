import { fragments, frame, opcodes } from "../support/frames.ts";
import type { Version } from "../support/http.ts";
import type { Random } from "../support/random.ts";
import type { Packet } from "./conversation.ts";

const { continuation, text: textual, binary, close, ping, pong } = opcodes;

/** A valid control frame, which may stand anywhere between the frames of a message (RFC 6455, 5.4). */
export function controlFrame(random: Random): Buffer {
  return frame(random.pick([ping, pong]), "x".repeat(random.pick([0, 0, 1, 8, 125])));
}

/** A packet in one frame, or in fragments with control frames between them. */
export function framed(random: Random, packet: Packet, version: Version): Buffer {
  const opcode = packet.binary ? binary : textual;
  const marked = packet.binary && version === 3;
  const data = marked ? Buffer.concat([Buffer.from([4]), packet.data]) : packet.data;
  if (random.chance(0.85)) return frame(opcode, data);
  const cuts = random.several(1, random.pick([1, 3, 40]), () => random.between(0, data.length));
  const parts = fragments(opcode, data, ...cuts.toSorted((a, b) => a - b));
  return Buffer.concat(parts.flatMap((part) => (random.chance(0.3) ? [controlFrame(random), part] : [part])));
}

/** The first frames of a message that is never finished. */
export function unfinished(random: Random, packet: Packet, version: Version): Buffer {
  const count = random.pick([1, 2, 50, 2_000]);
  const parts = Array.from({ length: count }, (_, n) =>
    frame(n ? continuation : textual, n ? "x".repeat(random.between(0, 2)) : packet.data, { fin: false }),
  );
  const rest = random.chance(0.3) ? framed(random, packet, version).subarray(0, -1) : Buffer.alloc(0);
  return Buffer.concat([...parts, random.chance(0.5) ? controlFrame(random) : rest]);
}

/** Frames that a server must refuse or tolerate. */
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
  (random) =>
    Buffer.concat(random.several(1, 400, (n) => frame(n ? 0 : textual, n ? "" : some, { fin: false }))),
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
  (random) =>
    Buffer.concat(
      random.several(5, random.pick([60, 3_000]), () => frame(random.pick([ping, pong]), "8 bytes!")),
    ),
  (random) =>
    Buffer.concat(random.several(5, 300, (n) => frame(n ? continuation : textual, "", { fin: false }))),
  () => frame(textual, Buffer.from([0xc3, 0x28])),
  (random) => random.bytes(random.between(1, 60)),
];
