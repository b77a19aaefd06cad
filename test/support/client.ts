import type { TestContext } from "node:test";
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import type { ChatEvents, Message, ServerEvents } from "../../src/protocol.ts";
import { InProcessClient } from "./in-process.ts";
import { delivered, nodeOf } from "./two-nodes.ts";

export type Client = Socket<ServerEvents, ChatEvents>;
export type ClientOptions = Partial<ManagerOptions & SocketOptions>;

let clients = 0;

/**
 * `GATEWAY=in-process` runs a suite over the in-process gateway, `GATEWAY=mixed` every second client of it.
 */
function isInProcess(): boolean {
  const { GATEWAY } = process.env;
  return GATEWAY === "in-process" || (GATEWAY === "mixed" && ++clients % 2 === 0);
}

/** Creates a client on its own connection, which is not yet open and is closed when the test ends. */
export function client(t: TestContext, url: string, options: ClientOptions = {}): Client {
  const node = nodeOf(url);
  const socket: Client = isInProcess()
    ? (new InProcessClient(node, options as object) as never)
    : io(node, { forceNew: true, transports: ["websocket"], ...options });
  t.after(() => socket.disconnect());
  return socket;
}

/** Connects a client that records the messages it receives. */
export async function connect(t: TestContext, url: string, options: ClientOptions = {}): Promise<Member> {
  const member = new Member(client(t, url, options));
  await member.hears("connected!");
  return member;
}

/** Connects a client with this userId to this room. */
export function enter(t: TestContext, url: string, userId: string, room: string): Promise<Member> {
  return connect(t, url, { query: { userId, room } });
}

/** A client and all messages that it has received. */
export class Member {
  readonly socket: Client;
  readonly messages: Message[] = [];
  readonly #waiting = new Set<() => void>();

  constructor(socket: Client) {
    this.socket = socket;
    socket.on("res", (message) => {
      this.messages.push(message);
      for (const look of this.#waiting) look();
    });
  }

  get texts(): string[] {
    return this.messages.map(({ text }) => text);
  }

  /** Resolves with the first message with this text, whether it has arrived already or arrives later. */
  hears(text: string): Promise<Message> {
    return new Promise((resolve) => {
      const look = () => {
        const message = this.messages.find((heard) => heard.text === text);
        if (!message) return;
        this.#waiting.delete(look);
        resolve(message);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Sends an event and resolves with its ack. Arguments are untyped, because tests send invalid ones too. */
  // biome-ignore lint/suspicious/noExplicitAny: the server may reply with any value
  ask(event: string, ...args: unknown[]): Promise<any> {
    return this.socket.emitWithAck(event as never, ...(args as never));
  }

  /** Sends an event without asking for an ack. */
  tell(event: string, ...args: unknown[]): void {
    (this.socket as Socket).emit(event, ...args);
  }

  /** Resolves when everything the server has sent so far has arrived, which an ordered round trip ensures. */
  async settled(): Promise<void> {
    await delivered();
    await this.ask("notice", "settled");
  }
}

interface Emitter {
  // biome-ignore lint/suspicious/noExplicitAny: each generation of clients types its events differently
  once(event: any, listener: any): unknown;
}

/** Resolves with the arguments of the next event of this name, for a client of any generation. */
// biome-ignore lint/suspicious/noExplicitAny: an event may have any arguments
export function next(emitter: Emitter, event: string): Promise<any[]> {
  return new Promise((resolve) => emitter.once(event, (...args: unknown[]) => resolve(args)));
}
