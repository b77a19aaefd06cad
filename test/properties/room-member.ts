import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorCode } from "../../src/errors.ts";
import type { Joined, JoinOptions, Message, Receipt, RoomName, Sync } from "../../src/protocol.ts";
import { Finding } from "../fuzz/target.ts";
import { Deferred } from "../support/deferred.ts";
import type { FaultyLink } from "../support/faulty-link.ts";
import type { Random } from "../support/random.ts";
import { type Entry, type History, line, logged, type Observation, type Sent } from "./history.ts";
import type { Peer, PeerListener } from "./peer.ts";
import { type Reply, Requests } from "./requests.ts";

/** A request that sends a message, and the token that makes the message recognizable. */
export interface Saying {
  token: string;
  event: string;
  args: unknown[];
  /** Whether the request has an id, and is repeated until it is acked. */
  hasId: boolean;
}

export interface RoomMemberOptions {
  name: string;
  /** The name by default. */
  userId?: string;
  isSteady: boolean;
  random: Random;
  link: FaultyLink;
  open(listener: PeerListener): Peer;
  journal(line: string): void;
  failed(finding: Finding): void;
}

/** The pause before a request is sent again that has failed, in milliseconds. */
const retryMs = 100;

/** A user that keeps its cursors, as README.md advises, and comes back to its rooms after each loss of a connection. */
export class RoomMember implements History, PeerListener {
  readonly name: string;
  readonly userId: string;
  readonly isSteady: boolean;
  readonly entries: Entry[] = [];
  readonly sent: Sent[] = [];
  readonly link: FaultyLink;
  protected readonly peer: Peer;
  /** The rooms that it wants to be in. */
  readonly rooms = new Set<RoomName>();
  protected readonly cursors = new Map<RoomName, string>();
  readonly #options: RoomMemberOptions;
  /** The rooms of this connection. */
  #joined = new Set<RoomName>();
  /** What the handshake of this connection has asked for. */
  #asked = new Map<RoomName, JoinOptions>();
  /** The rooms that have answered it with a `sync`. */
  #synced = new Set<RoomName>();
  #online = new Deferred();
  #isOnline = false;
  readonly #requests = new Requests();
  /** Joins and leaves one room after the other. */
  #membership: Promise<unknown> = Promise.resolve();
  #tokens = 0;

  constructor(options: RoomMemberOptions) {
    const { name, userId = name, isSteady, link } = options;
    this.#options = options;
    this.name = name;
    this.userId = userId;
    this.isSteady = isSteady;
    this.link = link;
    this.peer = options.open(this);
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  /** Resolves when it is connected. */
  get online(): Promise<void> {
    return this.#online.promise;
  }

  /** What it waits for, for the report of a run that does not end. */
  get state(): string {
    return `${this.name} is ${this.#isOnline ? "connected" : "not connected"}, open requests: ${this.#requests}`;
  }

  /** Joins a room at its cursor. @returns the ack, unless it was lost */
  join(room: RoomName, options?: JoinOptions): Promise<Joined | undefined> {
    return this.#inTurn(() => this.#join(room, options ?? this.#next(room)));
  }

  leave(room: RoomName): Promise<void> {
    return this.#inTurn(async () => {
      this.rooms.delete(room);
      if (!this.#joined.has(room)) return;
      await this.request("leave", [room], () => {
        this.#joined.delete(room);
        this.#note({ what: "left", room });
      });
    });
  }

  /** Asks for the head of each room, to which everything must have come. */
  async conclude(): Promise<void> {
    for (;;) {
      await this.online;
      await this.#membership;
      const connection = this.#joined;
      for (const room of connection) await this.join(room, {});
      if (this.#isOnline && this.#joined === connection) return;
    }
  }

  close(): void {
    this.peer.close();
    this.link.close();
  }

  handshake(): Record<string, unknown> {
    const { rooms, last } = this.asksInHandshake();
    this.#asked = new Map(rooms.map((room) => [room, this.#next(room, last)]));
    return { userId: this.userId, room: rooms, since: Object.fromEntries(this.cursors), last };
  }

  connected(): void {
    this.#note({ what: "connected", rooms: this.#asked });
    this.#joined = new Set(this.#asked.keys());
    this.#synced = new Set();
    for (const room of this.#joined) this.rooms.add(room);
    this.#isOnline = true;
    this.#online.resolve();
    const joined = this.#joined;
    void this.#inTurn(() => this.#comeBack(joined));
  }

  disconnected(reason: string): void {
    this.#note({ what: "disconnected", reason });
    this.link.move(this.#options.random);
    this.#joined = new Set();
    if (this.#isOnline) this.#online = new Deferred();
    this.#isOnline = false;
    this.#requests.lose();
  }

  refused(reason: string): void {
    this.#options.failed(new Finding(`${this.name} was refused: ${reason}`));
  }

  received(message: Message): void {
    const known = logged(message);
    if (!known) return;
    const room = message.room as RoomName;
    this.cursors.set(room, known.offset);
    this.#note({ what: "message", room, message: known });
  }

  synced({ room, ...verdict }: Sync): void {
    let asked = this.#asked.get(room) ?? {};
    // A `sync` that nothing has asked for reports a gap in what was sent live.
    if (this.#synced.has(room) || !this.#asked.has(room)) {
      asked = this.#next(room);
      this.#note({ what: "joining", room, asked });
    }
    this.#synced.add(room);
    this.cursors.set(room, verdict.offset);
    this.#note({ what: "verdict", room, asked, verdict });
  }

  /** What the next handshake asks for. */
  protected asksInHandshake(): { rooms: RoomName[]; last?: number | undefined } {
    return { rooms: [...this.rooms] };
  }

  /** What to do about a failed request: a finding, unless a subclass expects the error. */
  protected expects(_code: ErrorCode): "retry" | "give up" | undefined {
    return undefined;
  }

  protected newToken(): string {
    return `${this.name.replace(" ", "-")}.${++this.#tokens}`;
  }

  protected async deliver({ token, event, args, hasId }: Saying): Promise<void> {
    do {
      await this.online;
      const reply = await this.request<Receipt>(event, args);
      if (!reply) continue;
      if (!("error" in reply)) this.sent.push({ token, receipt: reply });
      else if (await this.#fails(`${token}: ${reply.error.message}`, reply.error.code)) continue;
      return;
    } while (hasId);
  }

  /** @returns undefined if the connection is lost before the reply comes */
  protected request<T>(
    event: string,
    args: unknown[],
    replied: (reply: Reply<T>) => void = () => {},
  ): Promise<Reply<T> | undefined> {
    if (!this.#isOnline) return Promise.resolve(undefined);
    return this.#requests.send(this.peer, event, args, replied);
  }

  #next(room: RoomName, last?: number): JoinOptions {
    const since = this.cursors.get(room);
    if (since !== undefined) return { since };
    return last === undefined ? {} : { last };
  }

  async #join(room: RoomName, asked: JoinOptions): Promise<Joined | undefined> {
    this.rooms.add(room);
    if (!this.#isOnline) return;
    this.#joined.add(room);
    this.#note({ what: "joining", room, asked });
    for (;;) {
      const reply = await this.request<Joined>("join", [room, asked], (reply) => {
        if ("error" in reply) return;
        const { offset, status, missed } = reply;
        this.cursors.set(room, offset);
        this.#note({ what: "verdict", room, asked, verdict: { offset, status, missed } });
      });
      if (!reply || !("error" in reply)) return reply;
      if (!(await this.#fails(`${room}: ${reply.error.message}`, reply.error.code))) return;
    }
  }

  /** Joins the rooms that the handshake has left out. */
  async #comeBack(connection: Set<RoomName>): Promise<void> {
    for (const room of this.rooms)
      if (connection === this.#joined && !connection.has(room)) await this.#join(room, this.#next(room));
  }

  /** @returns whether to try again, after a pause */
  async #fails(what: string, code: ErrorCode): Promise<boolean> {
    const reaction = this.expects(code);
    if (!reaction) this.refused(what);
    if (reaction === "retry") await sleep(retryMs);
    return reaction === "retry";
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
