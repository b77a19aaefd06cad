import type { Guest, Reply } from "./guest.ts";
import type { Ledger } from "./ledger.ts";
import { holding, type Room } from "./room.ts";
import { within } from "./waiting.ts";

/*
 * How guests come, stay and go, and who hears of it. Each step tells the ledger what the server must have counted.
 */

/** Copies that may be on their way to who goes. */
const slackCopies = 50;

/** Connects a guest that asks for rooms as it does; each of them hears of it. */
export function enter<G extends Guest>(
  ledger: Ledger,
  rooms: readonly Room[],
  connect: (names: string[]) => Promise<G>,
): Promise<G> {
  return holding(rooms, async () => {
    const guest = await connect(rooms.map(({ name }) => name));
    for (const room of rooms) {
      guest.rooms.add(room);
      ledger.delivered(guest.namespace, ++room.size);
    }
    return guest;
  });
}

/** Joins a room, which hears of it where that is news. */
export function join(ledger: Ledger, guest: Guest, room: Room): Promise<void> {
  return holding([room], async () => {
    const reply = await guest.ask("join", room.name);
    mustSucceed(reply);
    if (!guest.rooms.has(room)) ledger.delivered(guest.namespace, ++room.size);
    guest.rooms.add(room);
    mustCount(room, reply);
  });
}

/** Leaves a room; those who stay hear of it. */
export function leave(ledger: Ledger, guest: Guest, room: Room): Promise<void> {
  return holding([room], async () => {
    const reply = await guest.ask("leave", room.name);
    mustSucceed(reply);
    vacate(ledger, guest, room);
    mustCount(room, reply);
  });
}

/** Says something, to one room or to all it is in. */
export async function chat(ledger: Ledger, guest: Guest, text: string, room?: Room): Promise<Reply> {
  const reply = await guest.ask("chat", text, ...(room ? [room.name] : []));
  if (!reply.error) ledger.delivered(guest.namespace, reply.recipients ?? Number.NaN);
  return reply;
}

/** Says bye, is disconnected and closes. */
export async function bye(ledger: Ledger, guest: Guest): Promise<void> {
  await sayBye(ledger, guest);
  guest.close();
}

/** Says bye and is disconnected from its namespace; the connection stays. */
export function sayBye(ledger: Ledger, guest: Guest): Promise<void> {
  return holding(guest.rooms, async () => {
    mustSucceed(await guest.ask("bye"));
    await within("the end after a bye", guest.dismissed);
    vacateAll(ledger, guest);
    ledger.disconnected(guest.namespace, "bye");
  });
}

/** Is lost, in a way for which the server gives this reason. */
export async function lose(ledger: Ledger, guest: Guest, reason: string, act: () => unknown): Promise<void> {
  await fall(ledger, guest, act);
  ledger.disconnected(guest.namespace, reason);
}

/** Is lost, whatever for; each of its rooms hears of that. */
export function fall(ledger: Ledger, guest: Guest, act: () => unknown): Promise<void> {
  return holding(guest.rooms, async () => {
    await act();
    await Promise.all([...guest.rooms].map((room) => room.lost(guest.userId)));
    vacateAll(ledger, guest);
    ledger.unheard(slackCopies);
  });
}

function vacateAll(ledger: Ledger, guest: Guest): void {
  for (const room of guest.rooms) vacate(ledger, guest, room);
}

function vacate(ledger: Ledger, guest: Guest, room: Room): void {
  guest.rooms.delete(room);
  ledger.delivered(guest.namespace, --room.size);
}

function mustSucceed({ error }: Reply): void {
  if (error) throw new Error(`${error.code}: ${error.message}`);
}

/** A room's members, as the server counts them, are those that its clients know of. */
function mustCount(room: Room, { members }: Reply): void {
  if (members === room.size) return;
  throw new Error(`a room has ${members} members for the server, and ${room.size} for its clients`);
}
