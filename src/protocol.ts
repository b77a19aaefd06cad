import Type, { type Static } from "typebox";
import type { ErrorInfo } from "./errors.ts";

/*
 * The wire contract on one page: the events of clients and of the server, and the replies in acks. The
 * validator builds its error message from a schema's `title` (the field) and `description` (the expected
 * value).
 */

const name = {
  minLength: 1,
  maxLength: 128,
  pattern: "^[^\\p{Cc}\\p{Cs}]*$",
  description: "1 to 128 characters, none of them a control character or half of a surrogate pair",
};

export const RoomName = Type.String({ ...name, title: "room" });
export const UserId = Type.String({ ...name, title: "userId" });
/** The text of a message. @param maxChars its maximum length, in characters */
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

/** The namespaces that a client may connect to; each has its own rooms. */
export type NamespaceName = "/" | "/chat";

/** A message to a room, or to a single connection. */
export interface Message {
  /** Unique, and sorts by time. Copies of one message that are sent to several rooms share it. */
  id: string;
  userId: UserId;
  text: Text;
  /**
   * `normal`: a user sent it; `state`: a user joined or left; `notice`: a client connected or disconnected.
   */
  state: "normal" | "state" | "notice";
  namespace: NamespaceName;
  /** The room that this copy was sent to; null if it was sent to one connection only. */
  room: RoomName | null;
  /**
   * `chat`: the rooms it was addressed to. "connected!" and the member's own copy of a `join`: the rooms that
   * it is in now. Events of others (`join`, `leave`, `bye`, "disconnected!") and the joins of a handshake:
   * only `room`.
   */
  rooms: RoomName[];
  /** Milliseconds since the Unix epoch. */
  at: number;
}

/** The ack of `join` and `leave`: the sender's rooms now, and the number of connections in `room`. */
export interface Membership {
  room: RoomName;
  rooms: RoomName[];
  members: number;
}

/** The ack of `chat`: the message's id, the rooms it was sent to, and the number of copies. */
export interface Receipt {
  id: string;
  rooms: RoomName[];
  recipients: number;
}

/** The ack of `auth`: when the new token expires, and the rooms that the connection is still in. */
export interface Authorization {
  /** Milliseconds since the Unix epoch; null if the token does not expire. */
  expiresAt: number | null;
  rooms: RoomName[];
}

/** The ack of a request that failed. */
export interface Failure {
  error: ErrorInfo;
}

/** An ack, called exactly once: with the reply or with a {@link Failure}. */
export type Ack<Reply> = (reply: Reply | Failure) => void;

/**
 * The events that a client may send on `/`. Acks are optional; without one, a failure arrives as the event
 * `error`.
 *
 * socket.io-client cannot infer the reply of `emitWithAck` from an optional ack. To get its type, wrap the
 * interface in {@link Acked}.
 */
export interface RootEvents {
  join: (room: RoomName, ack?: Ack<Membership>) => void;
  leave: (room: RoomName, ack?: Ack<Membership>) => void;
  /** Without a room, the message goes to all rooms of the sender. */
  chat: (
    ...args: [text: Text, ack?: Ack<Receipt>] | [text: Text, room: RoomName, ack?: Ack<Receipt>]
  ) => void;
  /** The ack is "have " and the text. */
  notice: (text: Text, ack?: Ack<string>) => void;
  /** The ack is the text of the connection's context, or "". */
  bye: (ack?: Ack<string>) => void;
  /**
   * Presents a new token of the same user, before the old one expires or within the grace period after it.
   */
  auth: (token: Token, ack?: Ack<Authorization>) => void;
}

/** The events that a client may send on `/chat`. */
export interface ChatEvents extends RootEvents {
  /** The ack is "recv " and the text. */
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

/** The events that the server sends, on every namespace. */
export interface ServerEvents {
  res: (message: Message) => void;
  reply: (text: string) => void;
  /** The connection's context: the last message it sent with `chat` or `msg`. */
  bye: (context: Message | null) => void;
  /** A request without an ack failed, or the token expired (`event` is then `auth`). */
  error: (failure: { event: string } & Failure) => void;
}
