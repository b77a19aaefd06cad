import { setTimeout as sleep } from "node:timers/promises";
import type { Joined, JoinOptions, Message, Receipt, RoomName, Sync } from "../../src/protocol.ts";
import { Finding } from "../fuzz/target.ts";
import { Deferred } from "../support/deferred.ts";
import type { FaultyLink } from "../support/faulty-link.ts";
import { Random } from "../support/random.ts";
import { type Entry, type History, line, logged, type Observation, type Sent } from "./history.ts";
import type { Peer, PeerListener } from "./peer.ts";
import { type MemberPlan, type PlannedMessage, requestOf, type Step } from "./plan.ts";

type Reply<T> = T | { error: { code: string; message: string } };

/** Parts of a run that its members share. */
export interface MemberOptions {
  plan: MemberPlan;
  seed: number;
  link: FaultyLink;
  open(listener: PeerListener): Peer;
  journal(line: string): void;
  failed(finding: Finding): void;
}

/** A user that keeps its cursors, as README.md advises, and comes back to its rooms after each loss of a connection. */
export class Member implements History, PeerListener {
  readonly entries: Entry[] = [];
  readonly sent: Sent[] = [];
  readonly #options: MemberOptions;
  readonly #random: Random;
  readonly #peer: Peer;
  /** The rooms that it wants to be in. */
  readonly #rooms = new Set<RoomName>();
  readonly #cursors = new Map<RoomName, string>();
  /** The rooms of this connection. */
  #joined = new Set<RoomName>();
  #asked = new Map<RoomName, JoinOptions>();
  #online = new Deferred();
  #isOnline = false;
  readonly #unanswered = new Map<Deferred<unknown>, string>();
  /** Joins and leaves one room after the other. */
  #membership: Promise<unknown> = Promise.resolve();
  readonly #sayings = new Set<Promise<void>>();
  #tokens = 0;

  constructor(options: MemberOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#peer = options.open(this);
  }

  get name(): string {
    return this.#options.plan.name;
  }

  get isSteady(): boolean {
    return this.#options.plan.isSteady;
  }

  /** What it waits for, for the report of a run that does not end. */
  get state(): string {
    const requests = [...this.#unanswered.values()].join(", ") || "none";
    return `${this.name} is ${this.#isOnline ? "connected" : "not connected"}, open requests: ${requests}`;
  }

  /** Joins a room at its cursor. */
  join(room: RoomName, options?: JoinOptions): Promise<void> {
    return this.#inTurn(() => this.#join(room, options ?? this.#next(room)));
  }

  async carryOut(): Promise<void> {
    for (const step of this.#options.plan.steps) await this.#take(step);
    this.#options.link.calm();
    // A saying of the last steps may wait for a room that the member returns to.
    while (this.#sayings.size > 0) await Promise.all(this.#sayings);
  }

  /** Asks for the head of each room, to which everything must have come. */
  async conclude(): Promise<void> {
    for (;;) {
      await this.#online.promise;
      await this.#membership;
      const connection = this.#joined;
      for (const room of connection) await this.join(room, {});
      if (this.#isOnline && this.#joined === connection) return;
    }
  }

  close(): void {
    this.#peer.close();
    this.#options.link.close();
  }

  handshake(): Record<string, unknown> {
    const rooms = this.#random.chance(this.#options.plan.handshakeShare) ? [...this.#rooms] : [];
    const last = this.#random.chance(0.3) ? this.#random.between(0, 10) : undefined;
    this.#asked = new Map(rooms.map((room) => [room, this.#next(room, last)]));
    return { userId: this.name, room: rooms, since: Object.fromEntries(this.#cursors), last };
  }

  connected(): void {
    this.#note({ what: "connected", rooms: this.#asked });
    this.#joined = new Set(this.#asked.keys());
    for (const room of this.#joined) this.#rooms.add(room);
    this.#isOnline = true;
    this.#online.resolve();
    const joined = this.#joined;
    const comeBack = async () => {
      for (const room of this.#rooms)
        if (joined === this.#joined && !joined.has(room)) await this.#join(room, this.#next(room));
    };
    void this.#inTurn(comeBack);
  }

  disconnected(reason: string): void {
    this.#note({ what: "disconnected", reason });
    this.#options.link.move(this.#random);
    this.#joined = new Set();
    if (this.#isOnline) this.#online = new Deferred();
    this.#isOnline = false;
    for (const request of this.#unanswered.keys()) request.resolve(undefined);
    this.#unanswered.clear();
  }

  refused(reason: string): void {
    this.#options.failed(new Finding(`${this.name} was refused: ${reason}`));
  }

  received(message: Message): void {
    const known = logged(message);
    if (!known) return;
    const room = message.room as RoomName;
    this.#cursors.set(room, known.offset);
    this.#note({ what: "message", room, message: known });
  }

  synced({ room, ...verdict }: Sync): void {
    this.#cursors.set(room, verdict.offset);
    this.#note({ what: "verdict", room, asked: this.#asked.get(room) ?? {}, verdict });
  }

  #next(room: RoomName, last?: number): JoinOptions {
    const since = this.#cursors.get(room);
    if (since !== undefined) return { since };
    return last === undefined ? {} : { last };
  }

  async #take(step: Step): Promise<void> {
    const { link } = this.#options;
    if (step.do !== "say") await this.#online.promise;
    if (step.do === "pause") await sleep(step.ms);
    else if (step.do === "say") for (const saying of step.sayings) this.#say(saying);
    else if (step.do === "join") await this.join(step.room, this.#joinOptions(step));
    else if (step.do === "leave") await this.#inTurn(() => this.#leave(step.room));
    else if (step.do === "stall") {
      link.stall();
      await sleep(step.ms);
      link.calm();
    } else if (step.do === "cut") {
      if (step.again) link.cut();
      link.cutAfter(step.direction, step.bytes);
    } else this.#peer[step.do]();
  }

  #joinOptions({ room, how, last }: Step & { do: "join" }): JoinOptions | undefined {
    const seen = this.entries.flatMap((entry) =>
      entry.what === "message" && entry.room === room ? [entry.message.offset] : [],
    );
    if (how === "last") return { last };
    const [epoch = ""] = (this.#cursors.get(room) ?? "unknown").split(":");
    if (how === "wrong") return { since: this.#random.pick(["other:5", `${epoch}:999999`]) };
    return how === "again" && seen.length > 0 ? { since: this.#random.pick(seen) } : undefined;
  }

  async #join(room: RoomName, asked: JoinOptions): Promise<void> {
    this.#rooms.add(room);
    if (!this.#isOnline) return;
    this.#joined.add(room);
    this.#note({ what: "joining", room, asked });
    await this.#request<Joined>("join", [room, asked], (reply) => {
      if ("error" in reply) return this.refused(`${room}: ${reply.error.message}`);
      const { offset, status, missed } = reply;
      this.#cursors.set(room, offset);
      this.#note({ what: "verdict", room, asked, verdict: { offset, status, missed } });
    });
  }

  async #leave(room: RoomName): Promise<void> {
    this.#rooms.delete(room);
    if (!this.#joined.has(room)) return;
    await this.#request("leave", [room], () => {
      this.#joined.delete(room);
      this.#note({ what: "left", room });
    });
  }

  #say(saying: PlannedMessage): void {
    const token = `${this.name.replace(" ", "-")}.${++this.#tokens}`;
    for (let n = saying.isTwice && saying.hasId ? 2 : 1; n > 0; n--) {
      const said = this.#deliver(saying, token);
      this.#sayings.add(said);
      void said.finally(() => this.#sayings.delete(said));
    }
  }

  /** Sends a message until it is acked, if it has an id. */
  async #deliver(planned: PlannedMessage, token: string): Promise<void> {
    const [event, ...args] = requestOf(planned, token);
    do {
      await this.#online.promise;
      const reply = await this.#request<Receipt>(event, args);
      if (!reply) continue;
      if (!("error" in reply)) this.sent.push({ token, receipt: reply });
      else if (reply.error.code !== "not_in_room" && reply.error.code !== "closing")
        this.refused(`${token}: ${reply.error.message}`);
      return;
    } while (planned.hasId);
  }

  /** @returns undefined if the connection is lost before the reply comes */
  #request<T>(
    event: string,
    args: unknown[],
    replied: (reply: Reply<T>) => void = () => {},
  ): Promise<Reply<T> | undefined> {
    const answer = new Deferred<Reply<T> | undefined>();
    if (!this.#isOnline) answer.resolve(undefined);
    else {
      this.#unanswered.set(answer as Deferred<unknown>, `${event} ${JSON.stringify(args).slice(0, 60)}`);
      this.#peer.request(event, args, (reply) => {
        if (!this.#unanswered.delete(answer as Deferred<unknown>)) return;
        replied(reply as Reply<T>);
        answer.resolve(reply as Reply<T>);
      });
    }
    return answer.promise;
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#membership.then(action);
    this.#membership = done.catch(() => {});
    return done;
  }

  #note(observation: Observation): void {
    this.entries.push({ ...observation, at: Date.now() });
    this.#options.journal(line(this.name, observation));
  }
}
