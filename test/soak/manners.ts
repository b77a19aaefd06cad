import type { ErrorCode } from "../../src/errors.ts";
import type { Random } from "../support/random.ts";
import type { Guest } from "./guest.ts";
import { settings } from "./house.ts";
import { chat, join, leave } from "./membership.ts";
import type { Room } from "./room.ts";
import type { Stage } from "./stage.ts";

interface Manner {
  weight: number;
  act(stage: Stage, guest: Guest, random: Random): Promise<unknown>;
}

const words = [
  "hello",
  "is anybody there?",
  "žluťoučký kůň",
  "👋🏽",
  '"quoted" \\ and\nbroken',
  "la ".repeat(300),
];
const tooLarge = "x".repeat(settings["max-text"] + 1);

const roomsOf = (stage: Stage, guest: Guest, isIn: boolean): Room[] =>
  stage.roomsOf(guest.namespace).filter((room) => guest.rooms.has(room) === isIn);

/** Does something with a room that the guest is in, or is not; nothing where there is none. */
const withRoom =
  (isIn: boolean, act: (stage: Stage, guest: Guest, room: Room, random: Random) => Promise<unknown>) =>
  async (stage: Stage, guest: Guest, random: Random): Promise<void> => {
    const rooms = roomsOf(stage, guest, isIn);
    if (rooms.length > 0) await act(stage, guest, random.pick(rooms), random);
  };

/** Asks for what must be refused, and in this way. */
async function refused(guest: Guest, code: ErrorCode, event: string, ...args: unknown[]): Promise<void> {
  const { error } = await guest.ask(event, ...args);
  if (error?.code !== code) throw new Error(`${event} brought ${error?.code ?? "ok"}, not ${code}`);
}

/** What visitors do while they are there, the right and the wrong. */
const manners: Manner[] = [
  { weight: 30, act: ({ ledger }, guest, random) => chat(ledger, guest, random.pick(words)) },
  {
    weight: 15,
    act: withRoom(true, ({ ledger }, guest, room, random) => chat(ledger, guest, random.pick(words), room)),
  },
  { weight: 8, act: (_, guest, random) => guest.ask("notice", random.pick(words)) },
  { weight: 8, act: (_, guest) => guest.ask("msg", "remember this") },
  { weight: 10, act: withRoom(false, ({ ledger }, guest, room) => join(ledger, guest, room)) },
  { weight: 3, act: withRoom(true, ({ ledger }, guest, room) => join(ledger, guest, room)) },
  { weight: 8, act: withRoom(true, ({ ledger }, guest, room) => leave(ledger, guest, room)) },
  { weight: 2, act: withRoom(false, (_, guest, { name }) => refused(guest, "not_in_room", "leave", name)) },
  {
    weight: 2,
    act: withRoom(false, (_, guest, { name }) => refused(guest, "not_in_room", "chat", "psst", name)),
  },
  { weight: 2, act: (_, guest) => refused(guest, "unknown_event", "shout", "hey") },
  { weight: 1, act: (_, guest) => refused(guest, "unknown_event", "auth", "a.b.c") },
  { weight: 2, act: (_, guest) => refused(guest, "bad_payload", "join", "") },
  { weight: 2, act: (_, guest) => refused(guest, "bad_payload", "chat", { text: "hey" }) },
  { weight: 1, act: (_, guest) => refused(guest, "too_large", "chat", tooLarge) },
  { weight: 1, act: (_, guest) => refused(guest, "too_large", "notice", tooLarge) },
];

/** Does so many things, in a time that people might take for them. */
export async function behave(stage: Stage, guest: Guest, random: Random, acts: number): Promise<void> {
  for (let left = acts; left > 0 && !stage.isOver; left--) {
    await random.weighted(manners.map((manner) => [manner.weight, manner])).act(stage, guest, random);
    await stage.pause(random.between(50, 1_500));
  }
}
