import { Random } from "../support/random.ts";
import { cast } from "./cast.ts";
import { bye } from "./membership.ts";
import type { Room } from "./room.ts";
import type { Stage, Talker } from "./stage.ts";

/** How many clients play, how long, and what their choices are drawn from. */
export interface Programme {
  clients: number;
  seconds: number;
  seed: number;
}

/** So many kinds of surprises end an act before its time: more would say nothing new. */
const enoughSurprises = 20;

/** So that the first turns of all do not crowd at the door: a machine too busy would end clients that do read. */
const betweenComersMs = 20;

/** Plays one act: each client takes turn after turn until it is over. Resolves when all have gone. */
export async function perform(stage: Stage, { clients, seconds, seed }: Programme): Promise<void> {
  const hosts = await Promise.all(stage.rooms.map((room, n) => host(stage, room, n)));
  setTimeout(() => stage.end(), seconds * 1_000);
  await Promise.all(
    Array.from({ length: clients }, async (_, n) => {
      await stage.pause(n * betweenComersMs);
      await play(stage, n, new Random(seed * 100_003 + n));
    }),
  );
  await Promise.all(
    hosts.map((guest) =>
      bye(stage.ledger, guest).catch((error) => stage.ledger.surprise(`host: ${error.message}`)),
    ),
  );
}

async function host(stage: Stage, room: Room, n: number): Promise<Talker> {
  const guest = await stage.talker(room.namespace, `host-${n}`, [room]);
  room.host(guest);
  return guest;
}

/** One client's turns. The first is one of each kind, so that also a short act has them all. */
async function play(stage: Stage, n: number, random: Random): Promise<void> {
  let part = cast[n % cast.length];
  while (!stage.isOver) {
    part ??= random.weighted(cast.map((part) => [part.weight, part]));
    try {
      await part.turn(stage, `u${n}`, random);
    } catch (error) {
      stage.ledger.surprise(`${part.name}: ${(error as Error).message}`);
      if (stage.ledger.surprises.size > enoughSurprises) stage.end();
      await stage.pause(1_000);
    }
    part = undefined;
    await stage.pause(random.between(0, 500));
  }
}
