import type { Version } from "../support/http.ts";
import type { Random } from "../support/random.ts";

/** One Engine.IO packet before it is framed: a text that starts with its type, or an attachment. */
export interface Packet {
  binary: boolean;
  data: Buffer;
}

export const text = (content: string): Packet => ({ binary: false, data: Buffer.from(content) });
export const attachment = (data: Buffer): Packet => ({ binary: true, data });

/** The largest packet that the server accepts; conversations stay below it, mutations do not. */
export const maxPacketBytes = 50_000;

const rooms = ["lobby", "den", "hall", "r1", "r2", "r3", "r4", "r5", "ünïcode 👋", "__proto__", "room:lobby"];
const words = ["", "hi", "👋".repeat(20), "\u0000\u0001", "\ud800", "42[]", "<script>", "x".repeat(3_000)];

/** The packets of one valid client from connect to disconnect, in the protocol of its version. */
export function conversation(random: Random, version: Version): Packet[] {
  const namespaces = random.weighted([
    [5, [""]],
    [3, ["/chat,"]],
    [2, ["", "/chat,"]],
  ]);
  return [
    ...namespaces.flatMap((namespace) => greeting(random, version, namespace)),
    ...random.several(0, 12, () => remark(random, version, random.pick(namespaces))).flat(),
    ...farewell(random, random.pick(namespaces)),
  ];
}

function greeting(random: Random, version: Version, namespace: string): Packet[] {
  if (version === 3) return namespace ? [text(`40${namespace}`)] : [];
  return [text(`40${namespace}${random.chance(0.7) ? json(auth(random)) : ""}`)];
}

function auth(random: Random): object {
  const room = random.chance(0.5) ? random.pick(rooms) : random.several(0, 4, () => random.pick(rooms));
  const replay = random.pick<object>([{}, { last: random.between(0, 200) }, { since: since(random) }]);
  return { room, ...(random.chance(0.5) ? {} : { userId: `user ${random.between(0, 9)}` }), ...replay };
}

const offsets = ["k3f9:17", "0:0", "x:999999999999999", "x:-1", "", ":", null];

function since(random: Random): object {
  return Object.fromEntries(random.several(0, 4, () => [random.pick(rooms), random.pick(offsets)]));
}

function farewell(random: Random, namespace: string): Packet[] {
  return random.weighted([
    [5, []],
    [2, [text(`42${namespace}${random.between(0, 99)}["bye"]`)]],
    [1, [text(`42${namespace}["bye"]`)]],
    [1, [text(`41${namespace}`)]],
    [1, [text("1")]],
  ]);
}

/** A valid event, a heartbeat, or an event that the server must refuse with an error. */
function remark(random: Random, version: Version, namespace: string): Packet[] {
  if (random.chance(0.08)) return [text(version === 3 ? "2" : "3")];
  const id = random.chance(0.7) ? String(random.between(0, 999)) : "";
  if (random.chance(0.08)) return withAttachments(random, `${namespace}${id}`);
  return [text(`42${namespace}${id}${json(event(random))}`)];
}

function event(random: Random): unknown[] {
  const [room, word] = [random.pick(rooms), random.pick(words)];
  return random.weighted<unknown[]>([
    [5, ["join", room]],
    [2, ["leave", room]],
    [4, ["chat", word]],
    [2, ["chat", word, room]],
    [2, ["notice", word]],
    [2, ["msg", word]],
    [
      2,
      [
        "join",
        room,
        random.pick<object>([{ last: random.between(0, 200) }, { since: random.pick(offsets) }]),
      ],
    ],
    [2, ["chat", word, { room, id: `id ${random.between(0, 9)}` }]],
    [3, ["publish", room, argument(random), { id: word, transient: random.chance(0.5) }]],
    [1, ["history", room, { before: random.pick(offsets), limit: random.between(-1, 1_001) }]],
    [2, [random.pick(["who", "watch", "unwatch"]), room]],
    [1, [random.pick(["tell", "whisper"]), `user ${random.between(0, 9)}`, word]],
    [1, ["shout", word]],
    [1, [random.pick(["join", "leave", "chat", "notice", "msg"]), argument(random), room]],
  ]);
}

/** An argument that no event expects. */
export function argument(random: Random): unknown {
  return random.pick<unknown>([
    null,
    7,
    -0,
    1e300,
    true,
    {},
    { toString: "x" },
    [],
    [["lobby"]],
    "y".repeat(17_000),
  ]);
}

function withAttachments(random: Random, address: string): Packet[] {
  const attachments = random.several(1, 3, () => attachment(random.bytes(random.between(0, 200))));
  const holes = attachments.map((_, num) => ({ _placeholder: true, num }));
  const name = random.pick(["join", "chat", "msg", "shout"]);
  return [text(`45${attachments.length}-${address}${json([name, ...holes])}`), ...attachments];
}

const json = (value: unknown): string => JSON.stringify(value);
