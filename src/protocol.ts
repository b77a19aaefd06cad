import Type, { type Static } from "typebox";
import type { ErrorInfo } from "./errors.ts";

/*
 * The wire contract on one page: what a client sends, what it hears, what an ack brings.
 * Each schema's `title` names the field and its `description` says what is expected of it; the two make
 * the sentence a client reads when it sends something else.
 */

const name = {
  minLength: 1,
  maxLength: 128,
  pattern: "^[^\\p{Cc}\\p{Cs}]*$",
  description: "1 to 128 characters, none of them a control character or half of a surrogate pair",
};

export const RoomName = Type.String({ ...name, title: "room" });
export const UserId = Type.String({ ...name, title: "userId" });
/** @param maxChars the longest text of a message, in characters */
export const Text = (maxChars: number) =>
  Type.String({
    maxLength: maxChars,
    title: "text",
    description: `a string of at most ${maxChars.toLocaleString("en")} characters`,
  });
/** A JSON Web Token in its compact form (RFC 7519). */
export const Token = Type.String({ title: "token", description: "a JSON Web Token" });

export type RoomName = Static<typeof RoomName>;
export type UserId = Static<typeof UserId>;
export type Text = Static<ReturnType<typeof Text>>;
export type Token = Static<typeof Token>;

/** The namespaces that a client may connect to; each has rooms of its own. */
export type NamespaceName = "/" | "/chat";

/** What was said in a room, or to one connection alone. */
export interface Message {
  /** Unique, and sorts by time. Copies of one message that came through several rooms share it. */
  id: string;
  userId: UserId;
  text: Text;
  /** `normal`: somebody said it; `state`: somebody joined or left; `notice`: a connection came or was lost. */
  state: "normal" | "state" | "notice";
  namespace: NamespaceName;
  /** The room this copy came through; null for one that came through none. */
  room: RoomName | null;
  /**
   * `chat`: the rooms it was addressed to. "connected!" and one's own copy of a `join`: the rooms one is in now. What
   * others did (`join`, `leave`, `bye`, "disconnected!") and the joins of one's own handshake: only `room`.
   */
  rooms: RoomName[];
  /** Milliseconds since the epoch. */
  at: number;
}

/** The ack of `join` and `leave`: the rooms one is in now, and how many connections are left in this one. */
export interface Membership {
  room: RoomName;
  rooms: RoomName[];
  members: number;
}

/** The ack of `chat`: the message's id, the rooms it went to, and how many copies were handed out. */
export interface Receipt {
  id: string;
  rooms: RoomName[];
  recipients: number;
}

/** The ack of `auth`: until when the new token holds, and the rooms it has left the connection in. */
export interface Authorization {
  /** Milliseconds since the epoch; null for a token that does not expire. */
  expiresAt: number | null;
  rooms: RoomName[];
}

/** What an ack brings instead of its reply when the request failed. */
export interface Failure {
  error: ErrorInfo;
}

/** An ack: always called once, with the reply or with a {@link Failure}. */
export type Ack<Reply> = (reply: Reply | Failure) => void;

/**
 * What a client may send on `/`. Every ack may be left out; failures then come as the event `error`.
 *
 * socket.io-client cannot infer the reply of `emitWithAck` from an optional ack: wrap the interface in
 * {@link Acked} where each event is sent with an ack.
 */
export interface RootEvents {
  join: (room: RoomName, ack?: Ack<Membership>) => void;
  leave: (room: RoomName, ack?: Ack<Membership>) => void;
  /** Without a room: to each of the sender's rooms. */
  chat: (
    ...args: [text: Text, ack?: Ack<Receipt>] | [text: Text, room: RoomName, ack?: Ack<Receipt>]
  ) => void;
  /** Acked with "have " and the text. */
  notice: (text: Text, ack?: Ack<string>) => void;
  /** Acked with the text of the connection's context, or "". */
  bye: (ack?: Ack<string>) => void;
  /** Shows a new token of the same user, before the last one has expired or soon after. */
  auth: (token: Token, ack?: Ack<Authorization>) => void;
}

/** What a client may send on `/chat`. */
export interface ChatEvents extends RootEvents {
  /** Acked with "recv " and the text. */
  msg: (text: Text, ack?: Ack<string>) => void;
}

/**
 * The same events with a required ack, so that `emitWithAck` returns the type of the reply.
 *
 * @example
 * const socket: Socket<ServerEvents, Acked<RootEvents>> = io(url);
 * const reply = await socket.emitWithAck("join", "lobby"); // Membership | Failure
 */
export type Acked<Events> = {
  [Event in keyof Events]: Events[Event] extends (...args: infer Args) => void
    ? (...args: Required<Args>) => void
    : never;
};

/** What a client hears, on every namespace. */
export interface ServerEvents {
  res: (message: Message) => void;
  reply: (text: string) => void;
  /** The connection's context: the last message it sent with `chat` or `msg`. */
  bye: (context: Message | null) => void;
  /** A request failed and carried no ack to tell it through. */
  error: (failure: { event: string } & Failure) => void;
}
