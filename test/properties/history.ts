import type { JoinOptions, Message, Receipt, RoomName, Verdict } from "../../src/protocol.ts";

/** What a member can observe. */
export type Observation =
  | { what: "connected"; rooms: ReadonlyMap<RoomName, JoinOptions> }
  | { what: "disconnected"; reason: string }
  | { what: "joining"; room: RoomName; asked: JoinOptions }
  | { what: "left"; room: RoomName }
  | { what: "message"; room: RoomName; message: LoggedMessage }
  | { what: "verdict"; room: RoomName; asked: JoinOptions; verdict: Verdict };

/** What a member has seen, and when, in milliseconds since the Unix epoch. */
export type Entry = Observation & { at: number };

/** The part of a logged message that is checked. */
export interface LoggedMessage {
  offset: string;
  id: string;
  /** Names the request that sent the message. */
  token: string;
  at: number;
  /** The size of its JSON, in characters. */
  chars: number;
}

/** The ack of a request that sent a message. */
export interface Sent {
  token: string;
  receipt: Receipt;
}

/** The reports of one member. */
export interface History {
  readonly name: string;
  /** Whether nothing has disturbed its connection. */
  readonly isSteady: boolean;
  /** In the order in which it saw them. */
  readonly entries: readonly Entry[];
  readonly sent: readonly Sent[];
}

/** The part of a message that is checked; undefined if it was not logged. */
export function logged(message: Message): LoggedMessage | undefined {
  const { offset, id, text, at, data } = message;
  if (offset === null) return undefined;
  const token = data === undefined ? text.split(" ")[1] : (data as { token?: string }).token;
  return { offset, id, token: token ?? "", at, chars: JSON.stringify(message).length };
}

/** A line for the journal. */
export function line(name: string, entry: Observation): string {
  const { what } = entry;
  if (what === "connected")
    return `${name} connected ${JSON.stringify(Object.fromEntries(entry.rooms), (_, value) => value ?? null)}`;
  if (what === "disconnected") return `${name} disconnected: ${entry.reason}`;
  if (what === "joining") return `${name} joins ${entry.room} ${JSON.stringify(entry.asked)}`;
  if (what === "left") return `${name} left ${entry.room}`;
  if (what === "message")
    return `${name} received ${entry.room} ${entry.message.offset} ${entry.message.token}`;
  return `${name} ${entry.room} ${JSON.stringify(entry.asked)}: ${JSON.stringify(entry.verdict)}`;
}
