import type { NamespaceName, RoomName } from "../../src/protocol.ts";
import type { RoomcastOptions } from "../../src/roomcast.ts";
import type { Direction } from "../support/faulty-link.ts";
import { Random } from "../support/random.ts";
import { type Way, ways } from "./peer.ts";

/** How a member sends a message. */
export interface PlannedMessage {
  how: "chat" | "chat to all" | "publish" | "transient";
  room: RoomName;
  chars: number;
  /** Whether the request has an id, and is repeated until it is acked. */
  hasId: boolean;
  /** Whether it is sent twice at once. */
  isTwice: boolean;
}

/** The event and the arguments that send a message. @param token makes the message recognizable */
export function requestOf(
  { how, room, chars, hasId }: PlannedMessage,
  token: string,
): [event: string, ...args: unknown[]] {
  const id = hasId ? { id: token } : {};
  const filler = "é".repeat(chars % 2) + "x".repeat(chars);
  const text = `${token} ${filler}`;
  const data = { token, filler };
  switch (how) {
    case "chat":
      return ["chat", text, { room, ...id }];
    case "chat to all":
      return ["chat", text, id];
    case "publish":
      return ["publish", room, data, id];
    case "transient":
      return ["publish", room, data, { transient: true, ...id }];
  }
}

/** What a member does. */
export type Step =
  | { do: "pause"; ms: number }
  | { do: "say"; sayings: PlannedMessage[] }
  | { do: "join"; room: RoomName; how: "next" | "last" | "again" | "wrong"; last: number }
  | { do: "leave"; room: RoomName }
  /** Resets its TCP connections, now and again when this much of the next ones has passed. */
  | { do: "cut"; direction: Direction; bytes: number; again: boolean }
  | { do: "stall"; ms: number }
  | { do: "restart" }
  | { do: "misbehave" };

export interface MemberPlan {
  name: string;
  way: Way;
  /** A steady member is never disturbed: it only listens, in all rooms. */
  isSteady: boolean;
  /** The probability that it joins its rooms in the handshake when it connects again. */
  handshakeShare: number;
  /** The time until it connects again, in milliseconds. */
  reconnectionDelayMs: number;
  steps: Step[];
}

/** What happens on one server. The seed alone determines it. */
export interface Plan {
  seed: number;
  namespace: NamespaceName;
  options: RoomcastOptions & { historySize: number; historyAgeMs: number; historyMemoryMaxBytes: number };
  rooms: RoomName[];
  members: MemberPlan[];
  /** When the server loses all logs and starts again; undefined if it does not. */
  restartAfterMs: number | undefined;
}

const longAgeMs = 600_000;
const largestText = 16_000;

export function plan(seed: number): Plan {
  const random = Random.of(seed, 0);
  const isLarge = random.chance(0.2);
  const rooms = random.several(1, 3, (n) => ["lobby", "den", "höhle"][n] as string);
  const members = random.several(2, 5, (n) => memberPlan(Random.of(seed, n + 1), n, rooms, isLarge));
  const steady: MemberPlan = {
    name: "steady",
    way: "websocket",
    isSteady: true,
    handshakeShare: 1,
    reconnectionDelayMs: 10,
    steps: [],
  };
  return {
    seed,
    namespace: random.pick(["/", "/chat"] as const),
    options: {
      historySize: random.pick([0, 1, 3, 10, 30, 100, 100]),
      historyAgeMs: random.chance(0.85) ? longAgeMs : random.between(20, 300),
      historyMemoryMaxBytes: random.pick([1_000_000, 64_000_000]),
      sendQueueMaxBytes: random.pick([4_000, 20_000, 100_000, 1_000_000]),
      // A stock client whose upgrade is cut stops polling, and only the heartbeat tells it that it is lost.
      pingIntervalMs: 1_000,
      pingTimeoutMs: 5_000,
      eventsPerSecond: 1_000_000,
      eventsBurst: 1_000_000,
      bytesPerSecond: 1_000_000_000,
    },
    rooms,
    members: random.chance(0.7) ? [steady, ...members] : members,
    restartAfterMs: random.chance(0.1) ? random.between(50, 400) : undefined,
  };
}

function memberPlan(random: Random, index: number, rooms: RoomName[], isLarge: boolean): MemberPlan {
  const first: Step[] = rooms
    .filter(() => random.chance(0.8))
    .map((room) => ({
      do: "join",
      room,
      how: random.pick(["next", "last"] as const),
      last: random.between(0, 20),
    }));
  return {
    name: `member ${index}`,
    way: random.pick(ways),
    isSteady: false,
    handshakeShare: random.pick([0, 0.5, 1]),
    reconnectionDelayMs: random.pick([5, 20, 60]),
    steps: [...first, ...random.several(8, 30, () => step(random, rooms, isLarge))],
  };
}

function step(random: Random, rooms: RoomName[], isLarge: boolean): Step {
  const room = random.pick(rooms);
  return random.weighted<Step>([
    [6, { do: "pause", ms: random.between(0, 30) }],
    [10, { do: "say", sayings: random.several(1, 12, () => saying(random, rooms, isLarge)) }],
    [
      2,
      { do: "join", room, how: random.pick(["next", "last", "again", "wrong"]), last: random.between(0, 40) },
    ],
    [1, { do: "leave", room }],
    [3, cut(random, isLarge)],
    [1, { do: "stall", ms: random.between(5, 100) }],
    [1, { do: "restart" }],
    [1, { do: "misbehave" }],
  ]);
}

function cut(random: Random, isLarge: boolean): Step {
  const direction = random.pick(["to client", "to client", "to server"] as const);
  return {
    do: "cut",
    direction,
    bytes: random.between(1, isLarge ? 100_000 : 6_000),
    again: random.chance(0.7),
  };
}

function saying(random: Random, rooms: RoomName[], isLarge: boolean): PlannedMessage {
  return {
    how: random.weighted([
      [6, "chat"],
      [2, "chat to all"],
      [3, "publish"],
      [1, "transient"],
    ] as const),
    room: random.pick(rooms),
    chars: random.between(0, isLarge && random.chance(0.5) ? largestText : 200),
    hasId: random.chance(0.8),
    isTwice: random.chance(0.1),
  };
}
