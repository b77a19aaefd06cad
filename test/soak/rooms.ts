import type { Message, NamespaceName } from "../../src/protocol.ts";
import { Deferred, within } from "../support/deferred.ts";
import type { Client, Reply } from "./clients.ts";

/** Copies that may be in transit to a client that leaves. */
const slackCopies = 50;

/**
 * A room as its clients know it. A client locks it while it joins or leaves, so that the size of the room,
 * and with it the number of copies sent, is known at each step. An observer joins first and is notified of
 * lost members.
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

  /** Makes this client, which is in the room, report lost members from now on. */
  observeBy(client: Client): void {
    this.#isObserved = true;
    client.onMessage = ({ text, userId, room }: Message) => {
      if (text === "disconnected!" && room === this.name) this.#loss(userId).resolve();
    };
  }

  /** Resolves when the observer was notified that this user was lost; at once if no observer is left. */
  async lost(userId: string): Promise<void> {
    try {
      if (!this.#isObserved || this.size <= 1) return;
      const kind = userId.replace(/\d+$/, "");
      await within(`the observer to be notified that a ${kind} was lost`, this.#loss(userId).promise);
    } catch (error) {
      // Otherwise each client that leaves would wait for the silent observer again.
      this.#isObserved = false;
      throw error;
    } finally {
      this.#losses.delete(userId);
    }
  }

  /** Waits until nobody else has locked the room. @returns a function that unlocks it */
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

/** Locks rooms during an action, always in the same order to avoid deadlocks. */
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

/** Connects a client with these rooms in its handshake; each of them is notified. */
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

/** Joins a room, which is notified unless the client is in it already. */
export function join(client: Client, room: Room): Promise<void> {
  return locked([room], async () => {
    const reply = await client.ask("join", room.name);
    mustSucceed(reply);
    if (!client.rooms.has(room)) add(client, room);
    mustCount(room, reply);
  });
}

/** Leaves a room; the remaining members are notified. */
export function leave(client: Client, room: Room): Promise<void> {
  return locked([room], async () => {
    const reply = await client.ask("leave", room.name);
    mustSucceed(reply);
    remove(client, room);
    mustCount(room, reply);
  });
}

/** Sends a message to one room or to all that the client is in. */
export const chat = (client: Client, text: string, room?: Room): Promise<Reply> =>
  send(client, "chat", text, ...(room ? [room.name] : []));

/** Sends an event whose ack tells the number of copies. */
export async function send(client: Client, event: string, ...args: unknown[]): Promise<Reply> {
  const reply = await client.ask(event, ...args);
  if (!reply.error) client.counts.delivered(client.namespace, reply.recipients ?? Number.NaN);
  return reply;
}

/** Asks for the last messages of a room that the client is in. */
export async function replay(client: Client, room: Room, last: number): Promise<void> {
  const reply = await client.ask("join", room.name, { last });
  mustSucceed(reply);
  client.counts.delivered(client.namespace, reply.missed ?? Number.NaN);
}

/** Sends bye, waits for the disconnect and closes the connection. */
export async function bye(client: Client): Promise<void> {
  await sayBye(client);
  client.close();
}

/** Sends bye and waits for the disconnect from the namespace; the connection stays open. */
export function sayBye(client: Client): Promise<void> {
  return locked(client.rooms, async () => {
    mustSucceed(await client.ask("bye"));
    await within("the disconnect after a bye", client.disconnected);
    removeFromAll(client);
    client.counts.disconnected(client.namespace, "bye");
  });
}

/** Loses the client by this action, which the server counts under this reason. */
export async function lose(client: Client, reason: string, action: () => unknown): Promise<void> {
  await fall(client, action);
  client.counts.disconnected(client.namespace, reason);
}

/** Loses the client by this action, for any reason; each of its rooms is notified. */
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

/** Fails unless the server counts as many members in a room as its clients do. */
function mustCount(room: Room, { members }: Reply): void {
  if (members === room.size) return;
  throw new Error(`a room has ${members} members for the server, and ${room.size} for its clients`);
}
