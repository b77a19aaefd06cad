import type { Message, NamespaceName } from "../../src/protocol.ts";
import type { Guest } from "./guest.ts";
import { Deferred, within } from "./waiting.ts";

/**
 * A room as its clients know it. Whoever comes or goes holds it meanwhile, so that how many are in it, and so
 * how many hear of that, is known at each step; a host is there before the others, and hears who was lost.
 */
export class Room {
  readonly namespace: NamespaceName;
  readonly name: string;
  size = 0;
  #isHosted = false;
  #held: Promise<void> = Promise.resolve();
  readonly #losses = new Map<string, Deferred>();

  constructor(namespace: NamespaceName, name: string) {
    this.namespace = namespace;
    this.name = name;
  }

  /** From now on this guest, who is in the room, is its witness. */
  host(guest: Guest): void {
    this.#isHosted = true;
    guest.onMessage = ({ text, userId, room }: Message) => {
      if (text === "disconnected!" && room === this.name) this.#loss(userId).resolve();
    };
  }

  /** Resolves when the host has heard that this user was lost; at once where nobody is there to hear it. */
  async lost(userId: string): Promise<void> {
    try {
      if (!this.#isHosted || this.size <= 1) return;
      await within(
        `the host to hear of a ${userId.replace(/\d+$/, "")} that was lost`,
        this.#loss(userId).promise,
      );
    } catch (error) {
      // A host that hears nothing would be waited for again by each who goes.
      this.#isHosted = false;
      throw error;
    } finally {
      this.#losses.delete(userId);
    }
  }

  /** Waits until nobody else holds the room. @returns lets go of it */
  async hold(): Promise<() => void> {
    const before = this.#held;
    const mine = new Deferred();
    this.#held = mine.promise;
    await before;
    return mine.resolve;
  }

  #loss(userId: string): Deferred {
    const known = this.#losses.get(userId) ?? new Deferred();
    this.#losses.set(userId, known);
    return known;
  }
}

/** Holds rooms while something is done; always in one order, so that no two wait for each other. */
export async function holding<T>(rooms: Iterable<Room>, act: () => Promise<T>): Promise<T> {
  const order = [...rooms].toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
  const releases: (() => void)[] = [];
  for (const room of order) releases.push(await room.hold());
  try {
    return await act();
  } finally {
    for (const release of releases) release();
  }
}

const key = ({ namespace, name }: Room) => `${namespace} ${name}`;
