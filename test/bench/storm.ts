import { setTimeout as sleep } from "node:timers/promises";
import { Deferred } from "../support/deferred.ts";
import { WebSocketClient } from "../support/websocket-client.ts";
import type { Figures } from "./load.ts";
import type { MeasuredServer } from "./measured-server.ts";

const members = 1_000;
const missed = 50;
/** How many clients reconnect at the same moment; more would overflow the kernel's queue of new connections. */
const atOnce = 250;

/** What a client presents to be sent what it has missed. */
interface Cursor {
  /** Of stock Socket.IO: the private id of the session. */
  pid?: string;
  offset: string;
}

/** A member of the room that recovers as its server's protocol asks it to. */
class StormClient extends WebSocketClient {
  pid: string | undefined;
  offset = "";
  #chats = 0;
  #expected = 0;
  #reached = new Deferred();
  readonly connected = new Deferred();

  constructor(port: number, userId: string, cursor?: Cursor) {
    const since = cursor && `since=${encodeURIComponent(JSON.stringify({ lobby: cursor.offset }))}`;
    super(`http://127.0.0.1:${port}`, {
      query: ["room=lobby", `userId=${userId}`, ...(since ? [since] : [])],
    });
    this.onPacket = (packet) => this.#receive(packet, cursor);
  }

  /** Resolves when this many more messages have been received. */
  hears(chats: number): Promise<void> {
    this.#expected = this.#chats + chats;
    this.#reached = new Deferred();
    return this.#reached.promise;
  }

  #receive(packet: string, cursor: Cursor | undefined): void {
    if (packet[0] === "0") this.send(`40${cursor?.pid ? JSON.stringify(cursor) : ""}`);
    else if (packet.startsWith("40")) {
      this.pid = JSON.parse(packet.slice(2)).pid;
      this.connected.resolve();
      // The others' joins are not parsed: a slow load generator would distort the measurement.
    } else if (packet.startsWith('42["res"') && packet.includes('"type":"chat"')) this.#hear(packet);
  }

  #hear(packet: string): void {
    const [, message, offset] = JSON.parse(packet.slice(2));
    this.offset = message.offset ?? offset;
    if (++this.#chats === this.#expected) this.#reached.resolve();
  }
}

async function connect(port: number, cursors: (Cursor | undefined)[]): Promise<StormClient[]> {
  const clients: StormClient[] = [];
  for (let at = 0; at < cursors.length; at += atOnce) {
    const some = cursors
      .slice(at, at + atOnce)
      .map((cursor, n) => new StormClient(port, `u${at + n}`, cursor));
    await Promise.all(some.map((client) => client.connected.promise));
    clients.push(...some);
  }
  return clients;
}

async function say(sender: StormClient, listeners: StormClient[], messages: number): Promise<void> {
  const heard = Promise.all(listeners.map((listener) => listener.hears(messages)));
  for (let n = 0; n < messages; n++) sender.send('42["chat","hello, is anybody there?"]');
  await heard;
}

/** 1,000 members of one room lose their connections at once, miss 50 messages, and reconnect. */
export async function reconnectStorm({ ports: [port], usage }: MeasuredServer): Promise<Figures> {
  const [sender] = (await connect(port, [undefined])) as [StormClient];
  const clients = await connect(port, Array<undefined>(members).fill(undefined));
  await say(sender, [sender, ...clients], 1);
  const cursors = clients.map(({ pid, offset }): Cursor => ({ ...(pid ? { pid } : {}), offset }));
  for (const client of clients) client.drop();
  await sleep(1_000);
  await say(sender, [sender], missed);
  const { cpuMs } = await usage();
  const start = performance.now();
  const back: StormClient[] = [];
  for (let at = 0; at < members; at += atOnce) {
    const some = cursors
      .slice(at, at + atOnce)
      .map((cursor, n) => new StormClient(port, `u${at + n}`, cursor));
    await Promise.all(some.map((client) => client.hears(missed)));
    back.push(...some);
  }
  const ms = performance.now() - start;
  const used = await usage();
  for (const client of [sender, ...back]) client.drop();
  return {
    "reconnect storm: CPU per recovered client": (used.cpuMs - cpuMs) / members,
    "reconnect storm: time until all are live": ms,
  };
}
