import type { Socket } from "socket.io-client";
import type { ErrorCode } from "./errors.ts";
import type { Ack, Message, PublishOptions, RoomName, RootEvents, ServerEvents, Sync } from "./protocol.ts";

/*
 * The optional client helper, `roomcast/client`. It runs in browsers: nothing but types is imported, and no API of
 * Node is used.
 */

/** The offset of the last message received in each room, by the name of the room. */
export type Cursors = Record<RoomName, string>;

/** The options of {@link roomClient}. */
export interface RoomClientOptions {
  /**
   * Returns a token. It is called for each handshake, and again when the server reports that the token has expired.
   *
   * @defaultValue none: the token is the one in the socket's own `auth`, if any
   */
  token?: () => string | Promise<string>;
  /**
   * Where to continue: the {@link RoomClient.since} of an earlier client, for example from before a page was reloaded.
   *
   * @defaultValue none
   */
  since?: Cursors;
  /**
   * Time in which a request must be answered, including all retries, in milliseconds; then it fails with `timeout`. It
   * must be less than the server's `--dedup-time`, or a retried message may be sent twice.
   *
   * @defaultValue 120000
   */
  timeoutMs?: number;
}

/** The reason why a request has failed. */
export interface RequestError extends Error {
  /**
   * A code of the server, or `disconnected`: the connection was lost before the request was answered. After
   * `disconnected`, `timeout` and `internal`, the request may or may not have been carried out.
   */
  code: ErrorCode | "disconnected";
  /** When to try again, in milliseconds, if the server says so. */
  retryAfterMs?: number;
}

/** The arguments of an event without its ack. */
type Arguments<Args> = Args extends unknown[]
  ? Required<Args> extends [...infer Rest, Ack<never>]
    ? Rest
    : never
  : never;
/** The reply in the ack of an event. */
type Reply<Args> = Args extends unknown[]
  ? Required<Args> extends [...unknown[], Ack<infer Value>]
    ? Value
    : never
  : never;

/** Every event as a function that resolves with its reply, or rejects with a {@link RequestError}. */
export type Requests<Events> = {
  readonly [Event in keyof Events]: Events[Event] extends (...args: infer Args) => void
    ? (...args: Arguments<Args>) => Promise<Reply<Args>>
    : never;
};

/**
 * A socket whose events are functions: `join`, `leave`, `chat`, `publish` and so on, with the arguments and replies of
 * the protocol.
 */
export type RoomClient<Events extends RootEvents = RootEvents> = Requests<Events> & {
  /** The socket, to listen for `res`, `sync`, `connect_error` and the other events, and to disconnect. */
  readonly socket: Socket<ServerEvents, Events>;
  /** The cursors that the next reconnect will send. */
  readonly since: Readonly<Cursors>;
};

/** A request that was not answered yet. */
interface Pending {
  /** The user that has sent it; undefined until it was sent. */
  by?: string;
  /** Whether it may be sent again: the server recognizes its id. */
  readonly again: boolean;
  send(): void;
  fail(code: RequestError["code"]): void;
}

/** Any ack of the server. */
interface AnyReply extends Partial<Sync> {
  error?: Pick<RequestError, "code" | "message">;
  rooms?: RoomName[];
  offsets?: object;
}

/** A stock socket, whatever its events are. */
// biome-ignore lint/suspicious/noExplicitAny: the types of a socket's events are invariant
type AnySocket = Socket<any, any>;

/** All events; `msg` exists on `/chat` only. */
const events = "join leave chat publish notice bye auth history who watch unwatch tell whisper msg".split(
  " ",
);

/** The place of the options among the arguments of the events that accept an `id`. */
const optionsAt: Record<string, number> = { chat: 1, publish: 2 };

/** Time until a request or a handshake is tried again, in milliseconds. */
const retryMs = 1_000;
const longestRetryMs = 30_000;

/**
 * Wraps a socket of socket.io-client 3 or later, before it connects.
 *
 * - After a reconnect, the client is in the rooms that it was in, and receives what it has missed.
 * - A request that fails rejects with an error that has a `code`.
 * - `chat` and `publish` are sent again, with the same `id`, if the connection is lost before they are answered.
 * - Expired tokens are renewed, if the option `token` is given.
 *
 * All of this can be done with the socket alone: see "Clients" in the documentation.
 *
 * @example
 * const client = roomClient(io(url, { auth: { userId: "ann", room: "lobby" } }));
 * client.socket.on("res", ({ userId, text }) => console.log(userId, text));
 * client.socket.on("sync", ({ room, status }) => status === "gap" && reload(room));
 * const { members } = await client.join("den");
 * await client.chat("hello", "den");
 *
 * @typeParam Events `ChatEvents` for the namespace `/chat`
 * @throws {Error} if the socket is connected already
 */
export function roomClient<Events extends RootEvents = RootEvents>(
  socket: AnySocket,
  { token, since: start, timeoutMs = 120_000 }: RoomClientOptions = {},
): RoomClient<Events> {
  if (socket.connected) throw new Error("Already connected.");
  // A room may be named `__proto__`.
  const since = { __proto__: null, ...start } as object as Cursors;
  const { auth } = socket;
  const idPrefix = Math.random().toString(36);
  const pending = new Set<Pending>();
  let ids = 0;
  let handshakes = 0;
  let isReady = false;
  let delayMs = retryMs;
  let userId: string;
  let rooms: RoomName[] | undefined;

  /** Keeps the rooms that the client is in now, and their cursors. */
  const keep = (current: RoomName[]) => {
    rooms = current;
    for (const room in since) if (!current.includes(room)) delete since[room];
  };

  /** Sends an event as soon as the client is connected. */
  const ask = (event: string, ...args: unknown[]) =>
    new Promise((resolve, reject) => {
      const at = optionsAt[event];
      let again = false;
      if (at) {
        const given = args[at] ?? {};
        const options: PublishOptions = typeof given === "object" ? given : ({ room: given } as object);
        args[at] = { ...options, id: options.id ?? idPrefix + ids++ };
        again = !options.transient;
      }
      const settle = (reply: AnyReply) => {
        pending.delete(request);
        clearTimeout(timer);
        const { error } = reply;
        if (error) reject(Object.assign(new Error(error.message), error));
        else resolve(reply);
      };
      const request: Pending = {
        again,
        send() {
          request.by = userId;
          socket.emit(event, ...args, (...replies: unknown[]) => {
            const reply = replies.pop() as AnyReply;
            // A timeout of Socket.IO's own: ours decides.
            if (reply instanceof Error) return;
            if (again && /timeout|unavailable/.test(reply.error?.code as string)) {
              setTimeout(() => isReady && pending.has(request) && request.send(), retryMs);
              return;
            }
            // Receipts list the rooms that a message was sent to; other replies those that the client is in.
            if (reply.rooms && !reply.offsets) keep(reply.rooms);
            if (reply.status) since[reply.room as RoomName] = reply.offset as string;
            if (event === "bye") rooms = undefined;
            settle(reply);
          });
        },
        fail: (code) => settle({ error: { code, message: "No answer." } }),
      };
      const timer = setTimeout(request.fail, timeoutMs, "timeout");
      pending.add(request);
      if (isReady) request.send();
    });

  /** Reports that no token could be had. */
  const report = (error: Error) => {
    for (const listener of socket.listeners("connect_error")) listener.call(socket, error);
  };

  socket.auth = (give) => {
    const handshake = ++handshakes;
    const complete = async (fields?: object) => {
      try {
        const all = {
          ...fields,
          ...(rooms && { room: rooms }),
          since,
          ...(token && { token: await token() }),
        };
        // While the token was fetched, the connection may have been replaced.
        if (handshake === handshakes) give(all);
      } catch (error) {
        // After `--handshake-timeout` the server closes the connection, and the client tries again.
        report(error as Error);
      }
    };
    if (typeof auth === "function") auth(complete);
    else void complete(auth);
  };

  socket
    .on("res", (message: Message) => {
      if (message.offset) since[message.room as RoomName] = message.offset;
      if (message.type !== "connected") return;
      isReady = true;
      delayMs = retryMs;
      userId = message.userId;
      keep(message.rooms);
      for (const request of pending) {
        // The server recognizes the ids of the same user only.
        if (request.by && request.by !== userId) request.fail("disconnected");
        else request.send();
      }
      // On a connection that was open already, the first handshake was sent before the socket was wrapped.
      if (!handshakes) for (const room of message.rooms) ask("join", room).catch(() => {});
    })
    .on("sync", ({ room, offset }: Sync) => {
      since[room] = offset;
    })
    .on("disconnect", (reason: string) => {
      isReady = false;
      const isOver = reason === "io client disconnect";
      for (const request of pending)
        if (isOver || (request.by && !request.again)) request.fail("disconnected");
    });

  if (token)
    socket
      .on("connect_error", ({ data }: Error & { data?: { code?: string } }) => {
        if (data?.code !== "token_expired") return;
        setTimeout(() => socket.connect(), delayMs);
        delayMs = Math.min(2 * delayMs, longestRetryMs);
      })
      .on("error", async ({ event, error }: Parameters<ServerEvents["error"]>[0]) => {
        if (event !== "auth" || error.code !== "token_expired") return;
        try {
          await ask("auth", await token());
        } catch (reason) {
          report(reason as Error);
        }
      });

  const client: Record<string, unknown> = { socket, since };
  for (const event of events) client[event] = ask.bind(null, event);
  return client as RoomClient<Events>;
}
