import type { Presence } from "../protocol.ts";
import { type Connection, deliver, type Gateway } from "./connection.ts";
import { type Envelope, UnloggedEvent } from "./envelope.ts";
import { LogEntry } from "./log.ts";

/** The members of one room on this node, grouped by gateway. */
export class Members {
  size = 0;
  /** The sequence number of the last logged message that was delivered. */
  #seq = 0;
  /** Members that logged messages are withheld from, and the number of the last one they have, once that is known. */
  #replaying: Map<Connection, number | undefined> | undefined;
  #watchers: Set<Connection> | undefined;
  readonly #groups = new Map<Gateway, Group>();

  add(connection: Connection): void {
    const group = this.#groups.get(connection.gateway) ?? new Group();
    this.#groups.set(connection.gateway, group.add(connection));
    this.size++;
  }

  delete(connection: Connection): void {
    const group = this.#groups.get(connection.gateway);
    if (!group?.delete(connection)) return;
    this.#stopReplaying(connection);
    this.unwatch(connection);
    this.size--;
    if (group.size === 0) this.#groups.delete(connection.gateway);
  }

  /** The number of subscriptions to presence events. */
  get watchers(): number {
    return this.#watchers?.size ?? 0;
  }

  watch(connection: Connection): void {
    this.#watchers ??= new Set();
    this.#watchers.add(connection);
  }

  unwatch(connection: Connection): void {
    if (this.#watchers?.delete(connection) && this.#watchers.size === 0) this.#watchers = undefined;
  }

  /** Delivers a presence event to the watchers. */
  report(change: Presence): void {
    if (this.#watchers) deliver(this.#watchers, new UnloggedEvent("presence", change));
  }

  /** The members that no logged message is withheld from. */
  get live(): Connection[] {
    const members = [...this.#groups.values()].flatMap(({ list }) => list);
    return members.filter((member) => !this.#replaying?.has(member));
  }

  /** Whether logged messages are withheld from a member. */
  get isWithholding(): boolean {
    return this.#replaying !== undefined;
  }

  withhold(connection: Connection): void {
    this.#replaying ??= new Map();
    this.#replaying.set(connection, undefined);
  }

  /** @param seq the number of the last message that the member has received */
  release(connection: Connection, seq: number): void {
    if (seq <= this.#seq || !this.#replaying?.has(connection)) this.#stopReplaying(connection);
    else this.#replaying.set(connection, seq);
  }

  /** Messages are numbered anew from now on. */
  restart(seq: number): void {
    this.#seq = seq;
    for (const [connection, last] of this.#replaying ?? [])
      if (last !== undefined) this.#stopReplaying(connection);
  }

  #stopReplaying(connection: Connection): void {
    if (this.#replaying?.delete(connection) && this.#replaying.size === 0) this.#replaying = undefined;
  }

  /** Delivers a message to all members but one. @returns the number of copies handed to gateways */
  deliver(message: Envelope, except: Connection | undefined): number {
    const entry = message instanceof LogEntry ? message : undefined;
    const replaying = entry && this.#replaying;
    if (entry) this.#seq = entry.seq;
    const isLeftOut = (member: Connection) =>
      member === except || (replaying && !this.#isDue(member, this.#seq));
    let copies = 0;
    for (const [gateway, group] of this.#groups) {
      const members =
        replaying || except?.gateway === gateway
          ? group.list.filter((member) => !isLeftOut(member))
          : group.list;
      // Without members, encoding the message would be wasted.
      if (members.length > 0) gateway.deliver(members, message);
      copies += members.length;
    }
    if (replaying) this.#endReplays();
    return copies;
  }

  /** Whether a member that may be replaying receives the message with this number. */
  #isDue(member: Connection, seq: number): boolean {
    if (!this.#replaying?.has(member)) return true;
    const last = this.#replaying.get(member);
    return last !== undefined && last < seq;
  }

  /** The members whose replay was ahead of the live messages are live as soon as these have caught up. */
  #endReplays(): void {
    for (const [member, last] of this.#replaying ?? [])
      if (last !== undefined && last <= this.#seq) this.#stopReplaying(member);
  }
}

/** A set of connections that caches its list until the next change. */
class Group extends Set<Connection> {
  #list: readonly Connection[] | undefined;

  get list(): readonly Connection[] {
    this.#list ??= [...this];
    return this.#list;
  }

  override add(connection: Connection): this {
    this.#list = undefined;
    return super.add(connection);
  }

  override delete(connection: Connection): boolean {
    this.#list = undefined;
    return super.delete(connection);
  }
}
