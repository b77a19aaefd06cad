import type { NamespaceName } from "../../src/protocol.ts";
import type { Random } from "../support/random.ts";
import type { Guest } from "./guest.ts";
import { behave } from "./manners.ts";
import { bye, enter, lose, sayBye } from "./membership.ts";
import { RawGuest } from "./raw-guest.ts";
import type { Room } from "./room.ts";
import type { Stage, Talker } from "./stage.ts";
import { WebSocketWire } from "./websocket-wire.ts";

/*
 * Those who come, talk and go, as most do. A visitor has one name however often it comes back.
 */

/** What one client does between coming and going. */
export type Turn = (stage: Stage, userId: string, random: Random) => Promise<void>;

const namespaces: NamespaceName[] = ["/", "/", "/chat"];

/** Where a visit begins: most ask for rooms as they connect. */
function whereto(stage: Stage, random: Random): [NamespaceName, Room[]] {
  const namespace = random.pick(namespaces);
  return [namespace, random.some(stage.roomsOf(namespace), random.between(0, 2))];
}

/** The ways to go that are open to all. */
const goings: ((stage: Stage, guest: Guest) => Promise<void>)[] = [
  ({ ledger }, guest) => bye(ledger, guest),
  ({ ledger }, guest) => lose(ledger, guest, "client namespace disconnect", () => guest.disconnect()),
  ({ ledger }, guest) => lose(ledger, guest, "transport close", () => guest.close()),
];

async function visit(stage: Stage, guest: Guest, random: Random): Promise<void> {
  await behave(stage, guest, random, random.between(3, 15));
  await random.pick(goings)(stage, guest);
}

/** Speaks by hand over a WebSocket, takes a nap at times, and may be gone without a word. */
export const talker: Turn = async (stage, userId, random) => {
  const guest = await stage.talker(...named(userId, whereto(stage, random)));
  await behave(stage, guest, random, random.between(1, 7));
  if (random.next() < 0.3) await nap(stage, guest, random);
  if (random.next() < 0.5) return visit(stage, guest, random);
  await lose(stage.ledger, guest, "transport close", () => drop(stage, guest, random.next() < 0.3));
};

/** Reads nothing for a moment, in which nobody says so much that it would be too late. */
async function nap(stage: Stage, { wire }: Talker, random: Random): Promise<void> {
  wire.pause();
  await stage.pause(random.between(200, 800));
  wire.resume();
}

function drop({ ledger }: Stage, guest: Talker, isSpeaking: boolean): void {
  if (isSpeaking) {
    guest.tell("notice", "and g—");
    ledger.perhapsAnswered(guest.namespace, "notice", "ok");
  }
  guest.wire.drop();
}

/** Is on both namespaces over one connection. */
export const commuter: Turn = async (stage, userId, random) => {
  const { ledger } = stage;
  const wire = await WebSocketWire.open(ledger, stage.address);
  const come = (namespace: NamespaceName) =>
    enter(ledger, random.some(stage.roomsOf(namespace), 1), (names) =>
      new RawGuest(wire, namespace, userId).connect(names),
    );
  const [here, there] = [await come("/"), await come("/chat")];
  await Promise.all([here, there].map((guest) => behave(stage, guest, random, random.between(2, 8))));
  const go = () => lose(ledger, there, "transport close", () => wire.drop());
  if (random.next() < 0.3) await sayBye(ledger, here).then(go);
  else await lose(ledger, here, "transport close", go);
};

/** Polls by hand. */
export const poller: Turn = async (stage, userId, random) =>
  visit(stage, await stage.poller(...named(userId, whereto(stage, random))), random);

/** A real client over WebSocket. */
export const genuine: Turn = async (stage, userId, random) =>
  visit(stage, await stage.genuine(...named(userId, whereto(stage, random)), "websocket"), random);

/** A real client that polls. */
export const genuinePoller: Turn = async (stage, userId, random) =>
  visit(stage, await stage.genuine(...named(userId, whereto(stage, random)), "polling"), random);

/** A real client that begins with polling and upgrades. */
export const upgrader: Turn = async (stage, userId, random) => {
  const guest = await stage.genuine(...named(userId, whereto(stage, random)), "polling", "websocket");
  await guest.upgraded();
  await visit(stage, guest, random);
};

const named = (userId: string, [namespace, rooms]: [NamespaceName, Room[]]) =>
  [namespace, userId, rooms] as const;
