import { ClientError, type Refused, told } from "../errors.ts";
import type { Health } from "../health.ts";
import type { Count, Metrics } from "../metrics.ts";
import { admit, call, lose, type Namespace, welcome } from "../namespaces/namespace.ts";
import type { RepeatLog } from "../repeat-log.ts";
import { connectionIdOf } from "./connection-id.ts";
import { EmptySessions } from "./empty-sessions.ts";
import type { Visitor } from "./gate.ts";
import { handshakeOf } from "./handshake.ts";
import { type ClientInternals, type IOSocketInternals, trim } from "./internals.ts";
import { Meter, type MeterOptions } from "./meter.ts";
import type { Serving, SocketIOClient } from "./server.ts";

export interface SessionOptions extends MeterOptions {
  /** The time that an event or a handshake has to be answered. */
  handlerTimeoutMs: number;
  /** The time that a session may be in no namespace. */
  handshakeTimeoutMs: number;
}

interface Surroundings {
  metrics: Metrics;
  health: Health;
  log: RepeatLog;
}

/** Lines of one address about clients that connect, disconnect or are refused events, before they are only counted. */
const connectionLines = 50;

/** How much of an error's text tells it from others, in characters. */
const longestFault = 128;

/** The events that a namespace hears, and how many of each were answered well. */
type Heard = Map<string, Count>;

/**
 * Serves namespaces to those who come: each handshake and each event passes the limits here, is answered, counted
 * and, where that matters, logged.
 */
export class Sessions {
  /** What was asked and is not answered yet. */
  readonly pending = new Set<Promise<unknown>>();
  readonly #serving: Serving;
  readonly #options: SessionOptions;
  readonly #around: Surroundings;
  readonly #meter: Meter;
  readonly #empty: EmptySessions;
  /** Who is about to come where: the ids of connections, each with the name of a namespace. */
  readonly #arriving = new Set<string>();
  /** The names of our namespaces. */
  readonly #served = new Set<string>();

  constructor(serving: Serving, options: SessionOptions, around: Surroundings) {
    this.#serving = serving;
    this.#options = options;
    this.#around = around;
    this.#meter = new Meter(options, (socket) => serving.end(socket, "rate limited"));
    this.#empty = new EmptySessions(options.handshakeTimeoutMs, (socket) =>
      serving.end(socket, "no namespace"),
    );
    const { io } = serving;
    const empty = this.#empty;
    // Those of the application: ours have a listener already.
    io.on("new_namespace", (nsp) => {
      if (!this.#served.has(nsp.name)) nsp.on("connection", (socket) => socket.on("disconnect", left));
    });

    function left(this: SocketIOClient): void {
      empty.left(this);
    }
  }

  close(): void {
    this.#empty.close();
  }

  serve(namespace: Namespace): void {
    const { metrics } = this.#around;
    const { name, rooms } = namespace;
    this.#served.add(name);
    const nsp = this.#serving.io.of(name);
    const deliver = this.#serving.deliverTo(nsp);
    const deliveries = metrics.deliveries.of([name]);
    metrics.connects.of([name]);
    const heard: Heard = new Map();
    for (const event of namespace.events.keys()) heard.set(event, metrics.events.of([name, event, "ok"]));
    rooms.deliverBy((key, message, own) => {
      deliver(key, message, own);
      deliveries[1] += rooms.size(message.room as string);
    });

    const sessions = this;
    nsp.use((socket, next) => sessions.#admit(namespace, socket, next));
    nsp.on("connection", (socket) => {
      // Middleware is handed the packet as it came and calls no listener: one would be handed the arguments
      // on the stack, which 40,000 of them overflow.
      socket.use((packet) => sessions.#answer(namespace, heard, socket, packet));
      trim(socket as unknown as IOSocketInternals, "fns");
      socket.on("disconnect", lost);
      sessions.#welcome(namespace, socket);
    });

    /** One listener for all, told who by `this`. */
    function lost(this: SocketIOClient, reason: string, description?: unknown): void {
      sessions.#lose(namespace, this, isTooLarge(description) ? "packet too large" : reason);
    }
  }

  #admit(namespace: Namespace, socket: SocketIOClient, next: (error?: Error) => void): void {
    const arrival = `${(socket.client as unknown as ClientInternals).id} ${namespace.name}`;
    // Socket.IO would make two of a client that asks again before it was answered.
    if (this.#arriving.has(arrival)) {
      socket.conn.close(true);
      // Of a connection that is closed Socket.IO then forgets what it had begun.
      next(new Error("asked twice"));
      return;
    }
    this.#arriving.add(arrival);
    const id = connectionIdOf(socket);
    this.#attempt(
      socket,
      () => {
        this.#meter.arrive(socket);
        return admit(namespace, id, handshakeOf(socket));
      },
      (data) => {
        socket.data = data;
        // Read and done with; it would be kept, as large as it came, for as long as the connection.
        socket.handshake.auth = {};
        next();
        // By then it is there.
        setImmediate(() => this.#arriving.delete(arrival));
      },
      (error) => {
        this.#arriving.delete(arrival);
        const { metrics, log } = this.#around;
        metrics.refusals.add([error.code]);
        const about = { address: addressOf(socket), code: error.code };
        const details = { id, namespace: namespace.name };
        log.write({ level: "info", message: "turned away", about, details });
        next(Object.assign(new Error(error.message), { data: error }));
        this.#empty.refused(socket);
      },
    );
  }

  #welcome(namespace: Namespace, socket: SocketIOClient): void {
    const { metrics, log } = this.#around;
    const { name } = namespace;
    metrics.connects.add([name]);
    const { transport, protocol } = socket.conn;
    const { id, userId } = socket.data;
    const about = { address: addressOf(socket) };
    const details = { id, userId, namespace: name, transport: transport.name, protocol };
    log.write({ level: "info", message: "connected", about, details, burst: connectionLines });
    this.#attempt(socket, () => welcome(namespace, socket));
  }

  #answer(namespace: Namespace, heard: Heard, socket: SocketIOClient, packet: unknown[]): void {
    if (socket.conn.readyState !== "open") return;
    const ack = typeof packet.at(-1) === "function" ? (packet.pop() as (reply: unknown) => void) : undefined;
    const [event, ...args] = packet;
    const count = heard.get(event as string);
    const startMs = performance.now();
    const { metrics, log } = this.#around;
    socket.data.heard++;
    this.#attempt(
      socket,
      () => {
        this.#meter.count(socket, startMs);
        return call(namespace, socket, event, args);
      },
      (reply) => {
        ack?.(reply);
        if (count) metrics.handled(count, startMs);
      },
      (error) => {
        // A name that is none of ours is not for a counter, or clients could have one for each that they make up.
        const what = {
          namespace: namespace.name,
          event: count ? String(event) : "unknown",
          code: error.code,
        };
        metrics.handled(metrics.events.of(Object.values(what)), startMs);
        const { id, userId } = socket.data;
        const about = { address: addressOf(socket), event: what.event, code: what.code };
        const details = { id, userId, namespace: namespace.name };
        log.write({ level: "debug", message: "refused", about, details, burst: connectionLines });
        if (ack) ack({ error });
        else socket.emit("error", { event: String(event).slice(0, 128), error });
      },
    );
  }

  #lose(namespace: Namespace, socket: SocketIOClient, reason: string): void {
    this.#empty.left(socket);
    const { metrics, log, health } = this.#around;
    const { data, handshake } = socket;
    const isShutDown = reason === "server shutting down" || (health.closed && reason === "forced close");
    const why = data.closing ?? (isShutDown ? "server shutting down" : reason);
    this.#attempt(socket, () => lose(namespace, socket, why, { silently: isShutDown }));
    metrics.disconnects.add([namespace.name, why]);
    const seconds = Math.round((Date.now() - handshake.issued) / 100) / 10;
    const about = { address: addressOf(socket), reason: why };
    const what = { namespace: namespace.name, seconds, events: data.heard };
    const details = { id: data.id, userId: data.userId, ...what };
    log.write({ level: "info", message: "disconnected", about, details, burst: connectionLines });
  }

  /** The one place where what is thrown becomes what a client is told; a fault of ours is logged. */
  #attempt<T>(
    socket: SocketIOClient,
    action: () => T | Promise<T>,
    succeed: (result: T) => void = () => {},
    refuse: (error: Refused) => void = () => {},
  ): void {
    const fail = (thrown: unknown) => {
      const error = told(thrown);
      // Whoever threw a ClientError of this code has logged its cause.
      if (error.code === "internal" && !(thrown instanceof ClientError)) this.#logFault(socket, thrown);
      refuse(error);
    };
    try {
      const result = action();
      if (result instanceof Promise) this.#await(socket, result).then(succeed).catch(fail);
      else succeed(result);
    } catch (thrown) {
      fail(thrown);
    }
  }

  #logFault(socket: SocketIOClient, thrown: unknown): void {
    const about = { address: addressOf(socket), fault: String(thrown).slice(0, longestFault) };
    this.#around.log.write({ level: "error", message: "a handler failed", about, details: { err: thrown } });
  }

  /** Waits for what was promised as long as it may take, and keeps account of it. */
  async #await<T>(socket: SocketIOClient, promised: Promise<T>): Promise<T> {
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      late = setTimeout(() => {
        const about = { address: addressOf(socket) };
        this.#around.log.write({ level: "warn", message: "a handler took too long", about });
        reject(new ClientError("timeout"));
      }, this.#options.handlerTimeoutMs);
    });
    const answer = Promise.race([promised, timeout]);
    this.pending.add(answer);
    try {
      return await answer;
    } finally {
      clearTimeout(late);
      this.pending.delete(answer);
    }
  }
}

/** Where it comes from, as the gate has counted it. */
const addressOf = ({ conn }: SocketIOClient): string => (conn as unknown as Visitor).address;

/** Whether a connection was lost because its client sent more in one packet than it may. */
function isTooLarge(description: unknown): boolean {
  const { description: cause } = (description ?? {}) as { description?: { code?: unknown } };
  return cause?.code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";
}
