import { setTimeout as sleep } from "node:timers/promises";
import { io } from "socket.io-client";
import type { Client } from "../support/client.ts";
import { Finding } from "./target.ts";

const longestAckMs = 15_000;
const betweenMessagesMs = 100;

/** Two healthy clients in one room, one on each transport, which must be served whatever other clients do. */
export class HealthyClients {
  readonly #room: string;
  readonly #members: Client[];
  readonly #heard = new Map<Client, string[]>();
  /** Rejects when one of them loses its connection; never resolves. */
  readonly lost: Promise<never>;

  /** @param room the room they join; if other clients use it too, they also receive these messages */
  constructor(url: string, room: string) {
    this.#room = room;
    this.#members = ["websocket", "polling"].map((transport) =>
      io(url, {
        forceNew: true,
        reconnection: false,
        transports: [transport],
        query: { userId: `healthy over ${transport}` },
      }),
    );
    this.lost = Promise.race(this.#members.map(loss));
    this.lost.catch(() => {});
    for (const member of this.#members) this.#listen(member);
  }

  async join(): Promise<void> {
    await this.#each((member) => served(member, "join", this.#room));
  }

  /** The clients take turns to send messages, which both must receive once and in order. */
  async talk(until: number): Promise<number> {
    let count = 0;
    do {
      const sender = this.#members[count % this.#members.length] as Client;
      await this.#send(sender, `message ${count++}`);
      await sleep(betweenMessagesMs);
    } while (Date.now() < until);
    return count;
  }

  leave(): void {
    for (const member of this.#members) member.off("disconnect").disconnect();
  }

  #listen(member: Client): void {
    this.#heard.set(member, []);
    member.on("res", ({ text, userId }) => {
      if (userId.startsWith("healthy over ") && text.startsWith("<= message "))
        this.#heard.get(member)?.push(text);
    });
  }

  async #send(sender: Client, text: string): Promise<void> {
    await served(sender, "chat", text, this.#room);
    // The server sends the message to both before this ack, and each client receives in order.
    await this.#each((member) => served(member, "notice", text));
    for (const member of this.#members) {
      const heard = this.#heard.get(member)?.splice(0);
      if (heard?.length === 1 && heard[0] === `<= ${text}`) continue;
      throw new Finding(`a healthy client received ${JSON.stringify(heard)} when "${text}" was sent`);
    }
  }

  async #each(action: (member: Client) => Promise<unknown>): Promise<void> {
    await Promise.all(this.#members.map(action));
  }
}

/** Sends an event; its ack may be an error but must arrive in time. */
async function served(member: Client, event: string, ...args: unknown[]): Promise<void> {
  try {
    await member.timeout(longestAckMs).emitWithAck(event as never, ...(args as never));
  } catch {
    throw new Finding(`a healthy client was not served with "${event}" within ${longestAckMs / 1_000} s`);
  }
}

function loss(member: Client): Promise<never> {
  return new Promise((_resolve, reject) => {
    member.on("connect_error", (error) =>
      reject(new Finding(`a healthy client cannot connect: ${error.message}, ${causeOf(error)}`)),
    );
    member.on("disconnect", (reason, details) =>
      reject(new Finding(`a healthy client lost its connection: ${reason}, ${causeOf(details)}`)),
    );
  });
}

/** The cause of a disconnect, as far as socket.io-client knows it. */
function causeOf(details: unknown): string {
  const { description, context } = (details ?? {}) as {
    description?: unknown;
    context?: { responseText?: string };
  };
  return `${description ?? "no cause known"} ${context?.responseText ?? ""}`.trim();
}
