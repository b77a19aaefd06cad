import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { foreignSid, ownSid } from "./requests.ts";
import type { Step } from "./script.ts";

const mostEntries = 60;
const mostBytes = 300;

interface Entry {
  session: number;
  socket: number;
  sent: Buffer;
}

/** The bytes that were sent last, for the report of a finding. */
export class Journal {
  readonly #entries: Entry[] = [];

  note(session: number, socket: number, sent: Buffer): void {
    this.#entries.push({ session, socket, sent });
    if (this.#entries.length > mostEntries) this.#entries.shift();
  }

  /** One line per entry, the latest last. */
  lines(): string[] {
    return this.#entries.map(({ session, socket, sent }) => {
      const start = JSON.stringify(sent.subarray(0, mostBytes).toString("latin1"));
      const more = sent.length > mostBytes ? ` and ${sent.length - mostBytes} bytes more` : "";
      return `session ${session}, socket ${socket}: ${start}${more}`;
    });
  }
}

/** The totals of a run so far. */
export interface Tally {
  connections: number;
  packets: number;
  requests: number;
  acks: number;
}

/** The state that the sessions of a run share. */
export interface Run {
  port: number;
  tally: Tally;
  journal: Journal;
  /** The ids of the latest sessions, for others to misuse. */
  sids: string[];
  /** Sockets that finished sessions have left open. */
  left: Set<Socket>;
}

const longestAwaitMs = 150;
const mostSids = 32;
const mostLeft = 64;

/** Carries out the steps of one session on its own sockets; the server may respond in any way. */
export class Session {
  readonly #run: Run;
  readonly #index: number;
  readonly #sockets = new Map<number, Socket>();
  #sid = ownSid;

  constructor(run: Run, index: number) {
    this.#run = run;
    this.#index = index;
  }

  async carryOut(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#take(step);
    for (const socket of this.#sockets.values()) this.#leave(socket);
  }

  async #take(step: Step): Promise<void> {
    if (step.do === "pause") await sleep(step.ms);
    else if (step.do === "send") this.#send(step);
    else if (step.do === "await") await this.#await(step.on, step.what);
    else this.#end(step.on, step.do);
  }

  #send({ on, bytes, packets, requests }: Step & { do: "send" }): void {
    const { tally, journal } = this.#run;
    tally.packets += packets;
    tally.requests += requests;
    const filled = this.#filled(bytes);
    journal.note(this.#index, on, filled);
    const socket = this.#sockets.get(on) ?? this.#open(on);
    if (socket.writable) socket.write(filled);
  }

  /** Replaces the placeholders by session ids. */
  #filled(bytes: Buffer): Buffer {
    if (!bytes.includes(ownSid) && !bytes.includes(foreignSid)) return bytes;
    const foreign = this.#run.sids.find((sid) => sid !== this.#sid) ?? foreignSid;
    const content = bytes.toString("latin1").replaceAll(ownSid, this.#sid).replaceAll(foreignSid, foreign);
    return Buffer.from(content, "latin1");
  }

  #open(on: number): Socket {
    const socket = connect({ port: this.#run.port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#run.tally.connections++;
    this.#sockets.set(on, socket);
    socket.on("error", () => {});
    socket.on("data", (data) => this.#hear(data.toString("latin1")));
    return socket;
  }

  #hear(data: string): void {
    this.#run.tally.acks += data.match(/43(?:\/chat,)?\d+\[/g)?.length ?? 0;
    const sid = this.#sid === ownSid && data.match(/"sid":"([\w-]{20})"/)?.[1];
    if (!sid) return;
    this.#sid = sid;
    this.#run.sids.push(sid);
    if (this.#run.sids.length > mostSids) this.#run.sids.shift();
  }

  /** Waits for the expected event, the end of the socket or the timeout. */
  async #await(on: number, what: "sid" | "answer" | "end"): Promise<void> {
    const socket = this.#sockets.get(on);
    if (!socket || socket.destroyed || (what === "sid" && this.#sid !== ownSid)) return;
    const patience = new AbortController();
    const events = what === "end" ? ["end", "close"] : ["data", "end", "close"];
    const { signal } = patience;
    const waits = events.map((event) => once(socket, event, { signal }));
    await Promise.race([...waits, sleep(longestAwaitMs, undefined, { signal })]).catch(() => {});
    patience.abort();
    await Promise.allSettled(waits);
  }

  #end(on: number, how: "reset" | "end" | "mute"): void {
    const socket = this.#sockets.get(on);
    if (how === "reset") socket?.resetAndDestroy();
    else if (how === "end") socket?.end();
    else socket?.pause();
  }

  #leave(socket: Socket): void {
    const { left } = this.#run;
    if (socket.destroyed) return;
    left.add(socket.once("close", () => left.delete(socket)));
    const [oldest] = left;
    if (left.size > mostLeft) oldest?.resetAndDestroy();
  }
}
