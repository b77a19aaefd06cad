import { setTimeout as sleep } from "node:timers/promises";
import type { NamespaceName } from "../../src/protocol.ts";
import type { Random } from "../support/random.ts";
import { GenuineGuest } from "./genuine-guest.ts";
import type { Guest } from "./guest.ts";
import { settings } from "./house.ts";
import { bye, chat, fall, lose } from "./membership.ts";
import type { Room } from "./room.ts";
import type { Stage, Talker } from "./stage.ts";
import type { Turn } from "./visitors.ts";
import { within } from "./waiting.ts";

/*
 * Those whom the server ends. Each plays in a room of its own, with a companion who hears of its end.
 */

interface Scene<Star extends Guest = Talker> {
  stage: Stage;
  star: Star;
  companion: Talker;
  random: Random;
}

function scene<Star extends Guest>(
  come: (stage: Stage, namespace: NamespaceName, userId: string, rooms: Room[]) => Promise<Star>,
  play: (scene: Scene<Star>) => Promise<void>,
): Turn {
  return async (stage, userId, random) => {
    const namespace = random.pick<NamespaceName>(["/", "/chat"]);
    const nook = stage.nook(namespace);
    const companion = await stage.talker(namespace, `with-${userId}`, [nook]);
    nook.host(companion);
    await play({ stage, companion, random, star: await come(stage, namespace, userId, [nook]) });
    await bye(stage.ledger, companion);
  };
}

const talking = (stage: Stage, ...who: [NamespaceName, string, Room[]]) => stage.talker(...who);

/** The server ends the star for sending too much, and counts that. */
async function flooded({ ledger }: Stage, guest: Guest, flood: () => unknown): Promise<void> {
  await lose(ledger, guest, "rate limited", flood);
  ledger.ended("rate limited");
  // The refusal that ends it is not acked.
  ledger.answered(guest.namespace, "notice", "rate_limited");
}

/** The server ends the star for not reading, and counts that; unless, on a busy machine, a ping was sooner. */
async function starved({ stage: { ledger }, star }: Scene<Guest>): Promise<void> {
  const start = performance.now();
  await fall(ledger, star, () => {});
  if (performance.now() - start > settings["ping-timeout"] - 1_000) return ledger.endedLate(star.namespace);
  ledger.disconnected(star.namespace, "slow consumer");
  ledger.ended("slow consumer");
}

const largeText = "€".repeat(settings["max-text"]);
const largestBytes = 3 * largeText.length + 1_000;

/** Says something large over and over, as fast as one may. @returns how often */
async function speak({ stage, companion }: Scene<Guest>, isEnough: () => boolean): Promise<number> {
  let spoken = 0;
  while (!isEnough()) {
    const { error } = await chat(stage.ledger, companion, largeText);
    if (error) await sleep(error.retryAfterMs ?? 100);
    else spoken++;
  }
  return spoken;
}

/** Does not read while its room is spoken to; whether it shows signs of life makes no difference. */
export const staller = scene(talking, async (scene) => {
  const { stage, star, random } = scene;
  let isOver = false;
  star.wire.pause();
  const pongs = random.next() < 0.5 ? setInterval(() => star.wire.send("3", true), 1_000) : undefined;
  const [spoken] = await Promise.all([
    speak(scene, () => isOver),
    starved(scene).finally(() => {
      isOver = true;
      clearInterval(pongs);
    }),
  ]);
  stage.ledger.unheard(spoken);
  stage.ledger.unread(spoken * largestBytes);
  star.wire.drop();
});

/** Takes what its poll brings, and polls no more; what comes then, if only a ping, grows old. */
export const silentPoller = scene(
  (stage, ...who) => stage.poller(...who),
  async (scene) => {
    const { stage, star, companion, random } = scene;
    star.wire.silence();
    if (random.next() < 0.5) {
      for (let n = 0; n < 3; n++) await chat(stage.ledger, companion, "are you there?");
    }
    await starved(scene);
  },
);

/** More than a silent connection may send at once, and than its patience is good for. */
const floodEvents = 2 * settings["events-burst"] + 200;

/** Sends so much that it is refused, and then ended. */
export const flooder = scene(talking, ({ stage, star }) =>
  flooded(stage, star, async () => {
    for (let n = 0; n < floodEvents; n++) star.tell("notice", "again");
    await mustClose(star, 1008, "rate limited");
  }),
);

/** A real client that floods, is ended and comes back by itself. */
export const returner: Turn = async (stage, userId, random) => {
  const [{ ledger }, namespace] = [stage, random.pick<NamespaceName>(["/", "/chat"])];
  const how = { namespace, userId, room: [], transports: ["websocket" as const], comesBack: true };
  const guest = await new GenuineGuest(ledger, { url: stage.house.url, ...how }).connected();
  guest.isUnsure = true;
  const flood = Array.from({ length: floodEvents }, () => guest.ask("notice", "again"));
  await flooded(stage, guest, () => Promise.allSettled(flood));
  guest.isUnsure = false;
  await guest.connected();
  await bye(ledger, guest);
};

/** Reads all and answers no ping. */
export const mute = scene(talking, async ({ stage: { ledger }, star }) => {
  star.wire.isAwake = false;
  await lose(ledger, star, "ping timeout", () => within("the end of a mute", star.wire.closed));
});

/** Sends what cannot be: a packet, the reason its connection ends for, and the code its WebSocket is closed with. */
const rudenesses: [packet: string, reason: string, code: number][] = [
  ["4".repeat(settings["max-payload"] + 1), "packet too large", 1009],
  ["40", "forced close", 1005],
  ["4garbage", "forced close", 1005],
  ["x", "parse error", 1005],
];

export const boor = scene(talking, async ({ stage: { ledger }, star, random }) => {
  const [packet, reason, code] = random.pick(rudenesses);
  const again = packet === "40" && star.namespace !== "/" ? `40${star.namespace},` : packet;
  await lose(ledger, star, reason, () => {
    star.wire.send(again, true);
    return mustClose(star, code);
  });
});

/** Polls alone in a room, and takes a poll back that the server is known to hold. */
export const quitter: Turn = async (stage, userId) => {
  const guest = await stage.poller("/", userId, [stage.nook("/")]);
  await within("a ping", guest.wire.pinged());
  // The next ping is seconds away, and nobody speaks: the poll that follows waits.
  await sleep(500);
  await lose(stage.ledger, guest, "transport error", () => guest.wire.drop());
};

async function mustClose({ wire }: Talker, code: number, reason = ""): Promise<void> {
  const closing = await within("a close", wire.closed);
  if (closing.code === code && (reason === "" || closing.reason === reason)) return;
  throw new Error(`closed with ${closing.code} ${closing.reason}, not ${code} ${reason}`);
}
