import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";
import type { Client } from "../support/client.ts";
import { Finding } from "./target.ts";

const longestServiceMs = 5_000;
const betweenSayingsMs = 100;

/** Two healthy clients in one room, one on each transport, who must be served whatever others do. */
export class Witnesses {
  readonly #room: string;
  readonly #members: Client[];
  readonly #heard = new Map<Client, string[]>();
  /** Rejects when one of them loses its connection; never resolves. */
  readonly lost: Promise<never>;

  /** @param room they meet in; one that others use too makes them hear what others say */
  constructor(url: string, room: string) {
    this.#room = room;
    this.#members = ["websocket", "polling"].map((transport) =>
      io(url, {
        forceNew: true,
        reconnection: false,
        transports: [transport],
        query: { userId: `witness on ${transport}` },
      }),
    );
    this.lost = Promise.race(this.#members.map(loss));
    this.lost.catch(() => {});
    for (const member of this.#members) this.#listen(member);
  }

  /** Both join; then each in turn says something, and both must hear it, once and in order. */
  async testify(until: number): Promise<number> {
    await this.#each((member) => served(member, "join", this.#room));
    let count = 0;
    do {
      const speaker = this.#members[count % this.#members.length] as Client;
      await this.#say(speaker, `testimony ${count++}`);
      await sleep(betweenSayingsMs);
    } while (Date.now() < until);
    return count;
  }

  leave(): void {
    for (const member of this.#members) member.off("disconnect").disconnect();
  }

  #listen(member: Client): void {
    this.#heard.set(member, []);
    member.on("res", ({ text, userId }) => {
      if (userId.startsWith("witness on ") && text.startsWith("<= testimony"))
        this.#heard.get(member)?.push(text);
    });
  }

  async #say(speaker: Client, text: string): Promise<void> {
    await served(speaker, "chat", text, this.#room);
    // What was said is on its way to both before this is; each hears in order.
    await this.#each((member) => served(member, "notice", text));
    for (const member of this.#members) {
      const heard = this.#heard.get(member)?.splice(0);
      if (heard?.length === 1 && heard[0] === `<= ${text}`) continue;
      throw new Finding(`a witness heard ${JSON.stringify(heard)} when "${text}" was said`);
    }
  }

  async #each(action: (member: Client) => Promise<unknown>): Promise<void> {
    await Promise.all(this.#members.map(action));
  }
}

/** Asks for an event's ack, which may be an error, but must come in time. */
async function served(member: Client, event: string, ...args: unknown[]): Promise<void> {
  try {
    await member.timeout(longestServiceMs).emitWithAck(event as never, ...(args as never));
  } catch {
    throw new Finding(`a witness was not served with "${event}" within ${longestServiceMs / 1_000} s`);
  }
}

function loss(member: Client): Promise<never> {
  return new Promise((_resolve, reject) => {
    member.on("connect_error", ({ message }) => reject(new Finding(`a witness cannot connect: ${message}`)));
    member.on("disconnect", (reason, details) =>
      reject(new Finding(`a witness lost its connection: ${reason}, ${causeOf(details)}`)),
    );
  });
}

/** What the transport of socket.io-client tells of its end, as far as it does. */
function causeOf(details: unknown): string {
  const { description, context } = (details ?? {}) as {
    description?: unknown;
    context?: { responseText?: string };
  };
  return `${description ?? "no cause told"} ${context?.responseText ?? ""}`.trim();
}
