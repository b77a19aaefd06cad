import { setTimeout as sleep } from "node:timers/promises";
import { textFrame } from "../support/frames.ts";
import { type BenchClient, connectMany } from "./client.ts";
import type { MeasuredServer, Usage } from "./measured-server.ts";

/** A figure's name and its value in one run. */
export type Figures = Record<string, number>;

/** The members of a workload's rooms. */
export interface Crowd {
  rooms: number;
  membersPerRoom: number;
  sendersPerRoom: number;
}

/** 1,000 members of one room, 4 of them sending. */
export const busyRoom: Crowd = { rooms: 1, membersPerRoom: 1_000, sendersPerRoom: 4 };
/** 100 rooms of 10 members, one of them sending in each room. */
export const manyRooms: Crowd = { rooms: 100, membersPerRoom: 10, sendersPerRoom: 1 };

const chat = textFrame('427["chat","hello, is anybody there?"]');
export const settleMs = 300;

const countEvents = (clients: BenchClient[]) => clients.reduce((sum, { events }) => sum + events, 0);

/** Waits until no more events arrive. */
export async function settled(clients: BenchClient[]): Promise<void> {
  for (let before = -1; before !== countEvents(clients); ) {
    before = countEvents(clients);
    await sleep(settleMs);
  }
}

/** Connects the members, room by room and in turn to each node; resolves when their joins have settled. */
export async function gather(server: MeasuredServer, crowd: Crowd): Promise<BenchClient[]> {
  const queries = Array.from(
    { length: crowd.rooms * crowd.membersPerRoom },
    (_, n) => `room=r${Math.floor(n / crowd.membersPerRoom)}&userId=u${n}`,
  );
  const members = await connectMany(server.ports, queries);
  await settled(members);
  return members;
}

/** The members that send, of every room and on every node. */
function sendersOf(members: BenchClient[], { rooms, membersPerRoom, sendersPerRoom }: Crowd): BenchClient[] {
  return Array.from({ length: rooms }, (_, room) => {
    const first = room * membersPerRoom + (room % membersPerRoom);
    return members.slice(first, first + sendersPerRoom);
  }).flat();
}

/** What happened while the senders flooded a server. */
export interface Flood {
  seconds: number;
  deliveries: number;
  before: Usage;
  after: Usage;
  /** Messages that did not reach a member, since the start. */
  lost: number;
}

/** Each sender keeps `inFlight` messages unacked for `ms` milliseconds; the members count the deliveries. */
export async function flood(
  server: MeasuredServer,
  members: BenchClient[],
  crowd: Crowd,
  ms: number,
): Promise<Flood> {
  const inFlight = 8;
  const senders = sendersOf(members, crowd);
  const eventsAtStart = countEvents(members);
  let [isSending, messages] = [true, 0];
  for (const sender of senders) {
    const send = () => {
      if (!isSending) return;
      messages++;
      sender.socket.write(chat);
    };
    sender.onAck = send;
    for (let n = 0; n < inFlight; n++) send();
  }
  await sleep(settleMs);
  const [events, start, before] = [countEvents(members), performance.now(), await server.usage()];
  await sleep(ms);
  const [eventsAfter, end, after] = [countEvents(members), performance.now(), await server.usage()];
  isSending = false;
  await settled(members);
  for (const sender of senders) sender.onAck = undefined;
  const lost = messages * crowd.membersPerRoom - (countEvents(members) - eventsAtStart);
  return { seconds: (end - start) / 1_000, deliveries: eventsAfter - events, before, after, lost };
}

/** The throughput of a flood, in relation to the CPU time and to the time. */
export const throughput = ({ seconds, deliveries, before, after }: Flood): Figures => ({
  "deliveries per second of server CPU": (deliveries / (after.cpuMs - before.cpuMs)) * 1_000,
  "deliveries per second": deliveries / seconds,
});

/**
 * Sends one message every `everyMs` and measures how long it takes to reach each member. The next message waits for
 * the last delivery, for up to a second.
 */
export async function latency(
  members: BenchClient[],
  sender: BenchClient,
  messages: number,
  everyMs = 50,
): Promise<Figures> {
  const waits: number[] = [];
  let sent = 0;
  for (const member of members) member.onEvent = () => waits.push(performance.now() - sent);
  for (let n = 0; n < messages; n++) {
    sent = performance.now();
    sender.socket.write(chat);
    do await sleep(everyMs);
    while (waits.length < (n + 1) * members.length && performance.now() - sent < 1_000);
  }
  for (const member of members) member.onEvent = undefined;
  waits.sort((a, b) => a - b);
  const at = (share: number) => waits[Math.floor(waits.length * share)] ?? Number.NaN;
  return { "p50 latency": at(0.5), "p99 latency": at(0.99) };
}

export const disconnect = (clients: BenchClient[]) => {
  for (const client of clients) client.drop();
};

export const prefixed = (prefix: string, figures: Figures): Figures =>
  Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}: ${name}`, value]));
