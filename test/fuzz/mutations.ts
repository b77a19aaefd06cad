import type { Random } from "../support/random.ts";
import { attachment, maxPacketBytes, type Packet, text } from "./conversation.ts";

type Mutation = (random: Random, packets: Packet[]) => Packet[];

/** The packets after one to three mutations. */
export function mutated(random: Random, packets: Packet[]): Packet[] {
  let result = packets;
  for (const mutate of random.several(1, 3, () => random.weighted(mutations)))
    result = mutate(random, result);
  return result;
}

/** The bytes with a few bits flipped. */
export function flipped(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  for (let n = random.between(1, 4); n > 0 && copy.length > 0; n--) {
    const at = random.between(0, copy.length - 1);
    copy[at] = (copy[at] as number) ^ (1 << random.between(0, 7));
  }
  return copy;
}

/** The head of one buffer followed by the tail of the other. */
export function spliced(random: Random, one: Buffer, other: Buffer): Buffer {
  return Buffer.concat([
    one.subarray(0, random.between(0, one.length)),
    other.subarray(random.between(0, other.length)),
  ]);
}

const deep = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;

const numbers = ["-1", "0", "00", "1e309", "9007199254740993", "99999999999999999999", "1.5", "-0", "NaN"];

/** Bytes that are not UTF-8, lone surrogates, separators and other control characters. */
const splinters = [
  Buffer.from([0xff]),
  Buffer.from([0xc3]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from([0xf4, 0x90, 0x80, 0x80]),
  ...[
    "\\ud800",
    "\\udc00\\ud800",
    "\u0000",
    "\u001e",
    "\u001e\u001e",
    "\ufeff",
    "\u2028",
    "\u007f",
    '"',
    ",",
  ].map((content) => Buffer.from(content)),
];

/** Packets that are odd wherever they occur. */
const oddities: readonly Packet[] = [
  ...["", "9", "2probe", "3probe", "5", "6", "1", '0{"sid":"x"}', "4", "40", "41", "49", "42", "43[]", "43"],
  ...[
    "40/admin,",
    "40/constructor,",
    "40[]",
    '40{"room":7}',
    '40{"userId":"\\u0000"}',
    "40/chat?a=b",
    "42/chat",
  ],
  ...["44{}", '44/chat,"x"', '42["disconnect"]', '42["connect"]', "42[[]]", '42{"a":1}', "42[]", "42[null]"],
  ...['451-["x"]', '450-["x"]', '45-["x"]', '451["x"]', '45999999-["x",{"_placeholder":true,"num":0}]'],
  ...['451-["join",{"_placeholder":true,"num":-1}]', '451-["join",{"_placeholder":true,"num":"length"}]'],
  ...[
    '461-7[{"_placeholder":true,"num":0}]',
    "4399999999999999999999[]",
    '42/,["join","x"]',
    '42/chat,1["bye"]',
  ],
  ...[`42["notice"${",0".repeat(9_000)}]`, `421["join",${deep(9_000)}]`, `40${deep(9_000)}`],
  ...[`42["${"x".repeat(maxPacketBytes)}"]`, `451-["join",${deep(9_000)},{"_placeholder":true,"num":0}]`],
]
  .map(text)
  .concat(
    attachment(Buffer.alloc(0)),
    attachment(Buffer.from([4, 1, 2, 3])),
    attachment(Buffer.alloc(9_000)),
  );

const mutations: readonly (readonly [weight: number, mutation: Mutation])[] = [
  [3, changeOne((random, { binary, data }) => ({ binary, data: flipped(random, data) }))],
  [3, changeOne((random, { binary, data }) => ({ binary, data: truncated(random, data) }))],
  [2, changeOne((random, { binary, data }) => ({ binary, data: insert(random, data, splinters) }))],
  [3, changeOne((random, { binary, data }) => ({ binary, data: renumbered(random, data) }))],
  [3, changeOne((random, { binary, data }) => ({ binary, data: retyped(random, data) }))],
  [2, changeOne((random, { binary, data }) => ({ binary, data: recounted(random, data) }))],
  [1, changeOne((_random, { binary, data }) => ({ binary: !binary, data }))],
  [2, duplicate],
  [2, splice],
  [1, shuffle],
  [1, drop],
  [4, interject],
];

function changeOne(change: (random: Random, packet: Packet) => Packet): Mutation {
  return (random, packets) => {
    const at = random.between(0, packets.length - 1);
    return packets.map((packet, index) => (index === at ? change(random, packet) : packet));
  };
}

function truncated(random: Random, data: Buffer): Buffer {
  return data.subarray(0, random.between(0, data.length));
}

function insert(random: Random, data: Buffer, choices: readonly Buffer[]): Buffer {
  const at = random.between(0, data.length);
  return Buffer.concat([data.subarray(0, at), random.pick(choices), data.subarray(at)]);
}

/** Replaces one number by an extreme one. */
function renumbered(random: Random, data: Buffer): Buffer {
  const pieces = data.toString("latin1").split(/(\d+)/);
  const at = random.between(0, (pieces.length - 1) >> 1) * 2 + 1;
  if (at < pieces.length) pieces[at] = random.pick(numbers);
  return Buffer.from(pieces.join(""), "latin1");
}

/** Changes the type of the Engine.IO packet or of the Socket.IO packet in it. */
function retyped(random: Random, data: Buffer): Buffer {
  const copy = Buffer.from(data);
  const at = random.between(0, 1);
  if (at < copy.length) copy[at] = "0123456789b:-".charCodeAt(random.between(0, 12));
  return copy;
}

/** Announces a different number of attachments. */
function recounted(random: Random, data: Buffer): Buffer {
  const content = data.toString("latin1");
  const count = `45${random.pick([...numbers, "1", "2", "3"])}-`;
  return Buffer.from(content.replace(/^4[25](\d+-)?/, count), "latin1");
}

function duplicate(random: Random, packets: Packet[]): Packet[] {
  const at = random.between(0, packets.length - 1);
  const copies = random.between(2, 6);
  return packets.flatMap((packet, index) => (index === at ? Array(copies).fill(packet) : [packet]));
}

function splice(random: Random, packets: Packet[]): Packet[] {
  if (packets.length === 0) return packets;
  const [one, other] = [random.pick(packets), random.pick(packets)];
  const made = { binary: one.binary, data: spliced(random, one.data, other.data) };
  return packets.toSpliced(random.between(0, packets.length), 0, made);
}

function shuffle(random: Random, packets: Packet[]): Packet[] {
  const keyed = packets.map((packet) => ({ packet, key: random.next() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ packet }) => packet);
}

function drop(random: Random, packets: Packet[]): Packet[] {
  return packets.toSpliced(random.between(0, packets.length), 1);
}

function interject(random: Random, packets: Packet[]): Packet[] {
  return packets.toSpliced(random.between(0, packets.length), 0, random.pick(oddities));
}
