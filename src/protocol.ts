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
const offset = {
  pattern: "^[\\w-]{1,32}:(0|[1-9]\\d{0,14})$",
  description: 'an offset such as "k3f9:17"',
};

/** The place of a message in the log of its room: `EPOCH:SEQ`. SEQ counts 1, 2, 3 … within one epoch. */
export const Offset = Type.String({ ...offset, title: "since" });
/** A client's own id for a message, by which the server recognizes a repeated request. */
export const MessageKey = Type.String({
  minLength: 1,
  maxLength: 64,
  title: "id",
  description: "1 to 64 characters",
});
/** The offsets of a handshake, by room. */
export const Since = Type.Record(Type.String(), Type.Unknown(), {
  title: "since",
  description: "an object of offsets by room",
});
/** A number of messages to replay. */
export const Last = Type.Integer({ minimum: 0, title: "last", description: "a whole number of messages" });

/** What to replay to a member that joins a room; `since` takes precedence over `last`. */
export const JoinOptions = Type.Object(
  {
    /** Replay what was logged after this offset. */
    since: Type.Optional(Offset),
    /** Replay the last messages, this many at most. */
    last: Type.Optional(Last),
  },
  { title: "options", description: "an object such as { since } or { last }" },
);
/** The second argument of `chat`, unless it is a room. */
export const ChatOptions = Type.Object(
  { room: Type.Optional(RoomName), id: Type.Optional(MessageKey) },
  { title: "options", description: "a room, or an object such as { room, id }" },
);
/** The third argument of `publish`. */
export const PublishOptions = Type.Object(
  {
    id: Type.Optional(MessageKey),
    /** A transient message is not logged, and is dropped for a client that is backed up. */
    transient: Type.Optional(Type.Boolean({ title: "transient", description: "true or false" })),
  },
  { title: "options", description: "an object such as { id, transient }" },
);
/** The second argument of `history`. */
export const HistoryOptions = Type.Object(
  {
    /** Only messages before this offset; by default the newest ones. */
    before: Type.Optional(Type.String({ ...offset, title: "before" })),
    /** The number of messages, 50 by default. */
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000,
        title: "limit",
        description: "a whole number from 1 to 1,000",
      }),
    ),
  },
  { title: "options", description: "an object such as { before, limit }" },
);

export type JoinOptions = Static<typeof JoinOptions>;
export type ChatOptions = Static<typeof ChatOptions>;
export type PublishOptions = Static<typeof PublishOptions>;
export type HistoryOptions = Static<typeof HistoryOptions>;

/** The value of `publish`. @param maxBytes the maximum size of its JSON, in bytes */
export const Data = (maxBytes: number) =>
  Type.Unknown({ title: "data", description: `JSON of at most ${maxBytes.toLocaleString("en")} bytes` });
/** The id of a connection, as other clients see it. */
export const ConnectionId = Type.String({ ...name, title: "connection id" });

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
  /** What happened: the event that caused the message, or that a connection was accepted or lost. */
  type:
    | "chat"
    | "publish"
    | "join"
    | "leave"
    | "bye"
    | "connected"
    | "disconnected"
    | "tell"
    | "whisper"
    | "msg";
  userId: UserId;
  text: Text;
  /** The value that was sent with `publish`; only for that type, whose text is empty. */
  data?: unknown;
  /**
   * `normal`: a user sent it; `state`: a user joined or left; `notice`: a client connected or disconnected.
   */
  state: "normal" | "state" | "notice";
  namespace: NamespaceName;
  /** The room that this copy was sent to; null if it was sent to one connection only. */
  room: RoomName | null;
  /**
   * `chat` and `publish`: the rooms it was addressed to. "connected!" and the member's own copy of a `join`: the rooms that
   * it is in now. Events of others (`join`, `leave`, `bye`, "disconnected!") and the joins of a handshake:
   * only `room`.
   */
  rooms: RoomName[];
  /** Whom it was addressed to: the userId of `tell`, the connection id of `whisper`; absent otherwise. */
  to?: string;
  /** Milliseconds since the Unix epoch. */
  at: number;
  /** The place of a logged message in its room's log, `EPOCH:SEQ`; null if it is not logged. */
  offset: string | null;
}

/** The ack of `leave`: the sender's rooms now, and the number of connections in `room`. */
export interface Membership {
  room: RoomName;
  rooms: RoomName[];
  members: number;
}

/** The result of a replay. */
export interface Verdict {
  /** The last logged message that was sent to this client, or that it need not be sent: its next cursor. */
  offset: string;
  /**
   * `complete`: everything after the given offset was sent, once and in order. `gap`: that cannot be proved; what the
   * log still holds was sent. `new`: no offset was given.
   */
  status: "new" | "complete" | "gap";
  /** The number of messages that were replayed. */
  missed: number;
}

/** The ack of `join`. */
export interface Joined extends Membership, Verdict {}

/** The event `sync`, which follows the replay that a handshake asked for. */
export interface Sync extends Verdict {
  room: RoomName;
}

/** The ack of `chat` and `publish`. */
export interface Receipt {
  /** The message's id. */
  id: string;
  /** The rooms it was sent to. */
  rooms: RoomName[];
  /** The number of copies. */
  recipients: number;
  /** The place of each copy in the log of its room. */
  offsets: Record<RoomName, string>;
  /** Whether the same user has sent this `id` before. Then nothing was sent, and the rest is the first one's ack. */
  duplicate: boolean;
}

/** The ack of `tell` and `whisper`: the message's id and the number of connections that it was sent to. */
export type DirectReceipt = Pick<Receipt, "id" | "recipients">;

/** The ack of `history`. */
export interface History {
  room: RoomName;
  /** Oldest first. */
  messages: Message[];
  /** Whether the log holds older messages. */
  more: boolean;
  /** The head of the log. */
  offset: string;
}

/** A user in a room. A user whose last connection was lost a moment ago has 0 connections. */
export interface PresentUser {
  userId: UserId;
  connections: number;
}

/** The ack of `who` and `watch`. */
export interface Who {
  room: RoomName;
  /** At most 1,000. */
  users: PresentUser[];
  /** The number of all users in the room. */
  total: number;
}

/** The event `presence`: a user came to a room with its first connection, or left it with its last. */
export interface Presence {
  room: RoomName;
  userId: UserId;
  online: boolean;
  /** The number of users in the room now. */
  total: number;
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
  /** With options, the messages that the room has logged are replayed before the ack. */
  join: (
    ...args:
      | [room: RoomName, ack?: Ack<Joined>]
      | [room: RoomName, options: JoinOptions | undefined, ack?: Ack<Joined>]
  ) => void;
  leave: (room: RoomName, ack?: Ack<Membership>) => void;
  /** Without a room, the message goes to all rooms of the sender. */
  chat: (
    ...args:
      | [text: Text, ack?: Ack<Receipt>]
      | [text: Text, to: RoomName | ChatOptions | undefined, ack?: Ack<Receipt>]
  ) => void;
  /** Sends any JSON value to a room that the sender is in. */
  publish: (
    ...args:
      | [room: RoomName, data: unknown, ack?: Ack<Receipt>]
      | [room: RoomName, data: unknown, options: PublishOptions | undefined, ack?: Ack<Receipt>]
  ) => void;
  /** The ack is "have " and the text. */
  notice: (text: Text, ack?: Ack<string>) => void;
  /** The ack is the text of the connection's context, or "". */
  bye: (ack?: Ack<string>) => void;
  /** The logged messages of a room that the sender is in, page by page. */
  history: (
    ...args:
      | [room: RoomName, ack?: Ack<History>]
      | [room: RoomName, options: HistoryOptions | undefined, ack?: Ack<History>]
  ) => void;
  /** The users in a room that the sender is in. */
  who: (room: RoomName, ack?: Ack<Who>) => void;
  /** Subscribes to `presence` events of a room until `unwatch`, `leave` or disconnect. */
  watch: (room: RoomName, ack?: Ack<Who>) => void;
  unwatch: (room: RoomName, ack?: Ack<{ room: RoomName }>) => void;
  /** Sends a text to all connections of a user. */
  tell: (userId: UserId, text: Text, ack?: Ack<DirectReceipt>) => void;
  /**
   * Sends a text to one connection, which receives a {@link Message} as an event named by the id that it knows
   * itself by: its `socket.id`.
   */
  whisper: (connectionId: string, text: Text, ack?: Ack<DirectReceipt>) => void;
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
 * const reply = await socket.emitWithAck("join", "lobby"); // Joined | Failure
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
  sync: (sync: Sync) => void;
  presence: (presence: Presence) => void;
}
