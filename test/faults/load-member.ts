import type { ErrorCode } from "../../src/errors.ts";
import type { Message, Presence, RoomName, Who } from "../../src/protocol.ts";
import type { Reply } from "../properties/requests.ts";
import { RoomMember, type RoomMemberOptions } from "../properties/room-member.ts";

/** What a member does in the load. */
export interface LoadPlan {
  name: string;
  /** The name by default. */
  userId?: string;
  rooms: readonly RoomName[];
  /** Whether it sends messages, and connects again when it loses its connection. */
  isActive: boolean;
}

/** Counts events by name. */
export class Counts extends Map<string, number> {
  add(name: string): void {
    this.set(name, this.of(name) + 1);
  }

  of(name: string): number {
    return this.get(name) ?? 0;
  }
}

/** The name under which events about a user in a room are counted. */
export const userIn = (room: RoomName, userId: string): string => `${userId} in ${room}`;

/** A member that also counts what it hears of other users, and measures how long requests take. */
export class LoadMember extends RoomMember {
  readonly isActive: boolean;
  /** The "disconnected!" messages that it has received, by {@link userIn}. */
  readonly losses = new Counts();
  /** The `presence` events that said that a user is gone, by {@link userIn}. */
  readonly departures = new Counts();
  /** The failed requests by code. */
  readonly refusals = new Counts();
  /** The longest time that a request took, in milliseconds, also if its answer was lost. */
  slowestMs = 0;
  readonly #sayings = new Set<Promise<void>>();

  constructor({ rooms, isActive }: LoadPlan, options: RoomMemberOptions) {
    super(options);
    this.isActive = isActive;
    for (const room of rooms) this.rooms.add(room);
  }

  /** How often it has lost its connection. */
  get disconnects(): number {
    return this.entries.filter(({ what }) => what === "disconnected").length;
  }

  /** The rooms in which it was told of a gap. */
  get gaps(): RoomName[] {
    return this.entries.flatMap((entry) =>
      entry.what === "verdict" && entry.verdict.status === "gap" ? [entry.room] : [],
    );
  }

  /** Sends a message until it is acked. */
  say(room: RoomName): void {
    const token = this.newToken();
    const said = this.deliver({
      token,
      event: "chat",
      args: [`${token} load`, { room, id: token }],
      hasId: true,
    });
    this.#sayings.add(said);
    void said.finally(() => this.#sayings.delete(said));
  }

  /** Resolves when all its messages are acked. */
  async acked(): Promise<void> {
    await Promise.all(this.#sayings);
  }

  who(room: RoomName): Promise<Reply<Who> | undefined> {
    return this.request<Who>("who", [room]);
  }

  watch(room: RoomName): Promise<Reply<Who> | undefined> {
    return this.request<Who>("watch", [room]);
  }

  /** Resolves with the reply to `notice`, which needs no store. */
  notice(text: string): Promise<Reply<string> | undefined> {
    return this.request<string>("notice", [text]);
  }

  override received(message: Message): void {
    super.received(message);
    const { type, room, userId } = message;
    if (type === "disconnected") this.losses.add(userIn(room as RoomName, userId));
  }

  presenceChanged({ room, userId, online }: Presence): void {
    if (!online) this.departures.add(userIn(room, userId));
  }

  override disconnected(reason: string): void {
    super.disconnected(reason);
    if (!this.isActive) this.close();
  }

  protected override expects(code: ErrorCode): "retry" | undefined {
    return code === "unavailable" || code === "timeout" ? "retry" : undefined;
  }

  protected override async request<T>(
    event: string,
    args: unknown[],
    replied?: (reply: Reply<T>) => void,
  ): Promise<Reply<T> | undefined> {
    const start = performance.now();
    const reply = await super.request(event, args, replied);
    this.slowestMs = Math.max(this.slowestMs, performance.now() - start);
    if (reply && typeof reply === "object" && "error" in reply) this.refusals.add(reply.error.code);
    return reply;
  }
}
