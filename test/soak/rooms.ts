import type { Message, NamespaceName } from "../../src/protocol.ts";
import { Deferred, within } from "../support/deferred.ts";
import type { Client, Reply } from "./clients.ts";

/** Copies that may be on their way to a client that goes. */
const slackCopies = 50;

/**
 * A room as its clients know it. A client that joins or leaves locks it meanwhile, so that its size, and so the number
 * of copies that are sent, is known at each step. An observer is in it before the others, and hears who was lost.
 */
export class Room {
  readonly namespace: NamespaceName;
  readonly name: string;
  size = 0;
  #isObserved = false;
  #unlocked: Promise<void> = Promise.resolve();
  readonly #losses = new Map<string, Deferred>();

  constructor(namespace: NamespaceName, name: string) {
    this.namespace = namespace;
    this.name = name;
  }

  /** From now on this client, which is in the room, reports who was lost. */
  observeBy(client: Client): void {
    this.#isObserved = true;
    client.onMessage = ({ text, userId, room }: Message) => {
      if (text === "disconnected!" && room === this.name) this.#loss(userId).resolve();
    };
  }

  /** Resolves when the observer has heard that this user was lost; at once if nobody is there to hear it. */
  async lost(userId: string): Promise<void> {
    try {
      if (!this.#isObserved || this.size <= 1) return;
      const kind = userId.replace(/\d+$/, "");
      await within(`the observer to hear that a ${kind} was lost`, this.#loss(userId).promise);
    } catch (error) {
      // An observer that hears nothing would be waited for again by each client that goes.
      this.#isObserved = false;
      throw error;
    } finally {
      this.#losses.delete(userId);
    }
  }

  /** Waits until nobody else has it locked. @returns unlocks it */
  async lock(): Promise<() => void> {
    const before = this.#unlocked;
    const mine = new Deferred();
    this.#unlocked = mine.promise;
    await before;
    return mine.resolve;
  }

  #loss(userId: string): Deferred {
    const known = this.#losses.get(userId) ?? new Deferred();
    this.#losses.set(userId, known);
    return known;
  }
}

/** Locks rooms while something is done; always in one order, so that no two wait for each other. */
export async function locked<T>(rooms: Iterable<Room>, action: () => Promise<T>): Promise<T> {
  const key = ({ namespace, name }: Room) => `${namespace} ${name}`;
  const unlocks: (() => void)[] = [];
  for (const room of [...rooms].toSorted((a, b) => (key(a) < key(b) ? -1 : 1)))
    unlocks.push(await room.lock());
  try {
    return await action();
  } finally {
    for (const unlock of unlocks) unlock();
  }
}

/** Connects a client with these rooms in its handshake; each of them hears of it. */
export function enter<C extends Client>(
  rooms: readonly Room[],
  connect: (names: string[]) => Promise<C>,
): Promise<C> {
  return locked(rooms, async () => {
    const client = await connect(rooms.map(({ name }) => name));
    for (const room of rooms) add(client, room);
    return client;
  });
}

/** Joins a room, which hears of it unless the client is in it already. */
export function join(client: Client, room: Room): Promise<void> {
  return locked([room], async () => {
    const reply = await client.ask("join", room.name);
    mustSucceed(reply);
    if (!client.rooms.has(room)) add(client, room);
    mustCount(room, reply);
  });
}

/** Leaves a room; the remaining members hear of it. */
export function leave(client: Client, room: Room): Promise<void> {
  return locked([room], async () => {
    const reply = await client.ask("leave", room.name);
    mustSucceed(reply);
    remove(client, room);
    mustCount(room, reply);
  });
}

/** Sends a message to one room or to all that the client is in. */
export async function chat(client: Client, text: string, room?: Room): Promise<Reply> {
  const reply = await client.ask("chat", text, ...(room ? [room.name] : []));
  if (!reply.error) client.counts.delivered(client.namespace, reply.recipients ?? Number.NaN);
  return reply;
}

/** Says bye, is disconnected and closes. */
export async function bye(client: Client): Promise<void> {
  await sayBye(client);
  client.close();
}

/** Says bye and is disconnected from its namespace; the connection stays. */
export function sayBye(client: Client): Promise<void> {
  return locked(client.rooms, async () => {
    mustSucceed(await client.ask("bye"));
    await within("the end after a bye", client.disconnected);
    removeFromAll(client);
    client.counts.disconnected(client.namespace, "bye");
  });
}

/** Is lost by this action, for which the server gives this reason. */
export async function lose(client: Client, reason: string, action: () => unknown): Promise<void> {
  await fall(client, action);
  client.counts.disconnected(client.namespace, reason);
}

/** Is lost by this action, for whatever reason; each of its rooms hears of that. */
export function fall(client: Client, action: () => unknown): Promise<void> {
  return locked(client.rooms, async () => {
    await action();
    await Promise.all([...client.rooms].map((room) => room.lost(client.userId)));
    removeFromAll(client);
    client.counts.unheard(slackCopies);
  });
}

export function add(client: Client, room: Room): void {
  client.rooms.add(room);
  client.counts.delivered(client.namespace, ++room.size);
}

export function remove(client: Client, room: Room): void {
  client.rooms.delete(room);
  client.counts.delivered(client.namespace, --room.size);
}

function removeFromAll(client: Client): void {
  for (const room of client.rooms) remove(client, room);
}

function mustSucceed({ error }: Reply): void {
  if (error) throw new Error(`${error.code}: ${error.message}`);
}

/** The members of a room, as the server counts them, are those that its clients know of. */
function mustCount(room: Room, { members }: Reply): void {
  if (members === room.size) return;
  throw new Error(`a room has ${members} members for the server, and ${room.size} for its clients`);
}
