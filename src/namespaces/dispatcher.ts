import { ClientError, type ErrorInfo, errorInfo, maxQuotedChars } from "../errors.ts";
import type { RateLimiter } from "../limits/rate-limiter.ts";
import type { Count, Metrics } from "../ops/metrics.ts";
import type { RepeatLog } from "../ops/repeat-log.ts";
import * as lifecycle from "./lifecycle.ts";
import type { Admission, Member, Request, Session } from "./member.ts";
import type { Namespace } from "./namespace.ts";

/** The options of a {@link Dispatcher}. */
export interface DispatcherOptions {
  /** The time limit for answering an event or a handshake, in milliseconds. */
  handlerTimeoutMs: number;
  rateLimiter: RateLimiter;
  metrics: Metrics;
  log: RepeatLog;
}

/** Log lines about the connections and refused events of one address before further ones are only counted. */
const lineBurst = 50;

/**
 * Handles the handshakes and events that gateways receive for a namespace. The dispatcher applies the rate
 * limit, validates each request, calls its handler within a time limit, answers, counts and logs it. It
 * handles the events of a connection in the order in which they were sent.
 */
export class Dispatcher {
  readonly namespace: Namespace;
  readonly #options: DispatcherOptions;
  /** The count of successes of each event. */
  readonly #succeeded = new Map<unknown, Count>();
  readonly #unanswered = new Set<Promise<unknown>>();

  constructor(namespace: Namespace, options: DispatcherOptions) {
    this.namespace = namespace;
    this.#options = options;
    const { name, events } = namespace;
    options.metrics.connects.of([name]);
    for (const event of events.keys()) {
      this.#succeeded.set(event, options.metrics.events.of([name, event, "ok"]));
    }
  }

  /** Resolves when every request received so far is answered. */
  async idle(): Promise<void> {
    while (this.#unanswered.size > 0) await Promise.allSettled(this.#unanswered);
  }

  /**
   * Decides from its handshake whether a client may connect.
   *
   * @param id the connection's id
   */
  admit(
    session: Session,
    id: string,
    handshake: lifecycle.Handshake,
    admitted: (admission: Admission) => void,
    refused: (error: ErrorInfo) => void,
  ): void {
    const { rateLimiter, metrics, log } = this.#options;
    void this.#attempt(
      session,
      () => {
        // The first handshake is not counted, so that idle connections need no bucket.
        if (++session.handshakes > 1) rateLimiter.take(session, performance.now());
        return lifecycle.admit(this.namespace, id, handshake);
      },
      admitted,
      (error) => {
        metrics.refusals.add([error.code]);
        const about = { address: session.address, code: error.code };
        const details = { id, namespace: this.namespace.name };
        log.write({ level: "info", message: "handshake refused", about, details });
        refused(error);
      },
    );
  }

  /** Connects an admitted member: it joins the rooms of its handshake and receives "connected!". */
  connect(member: Member, { rooms }: Admission, transport: object): void {
    const { metrics, log } = this.#options;
    const { id, userId, session } = member;
    metrics.connects.add([this.namespace.name]);
    const about = { address: session.address };
    const details = { id, userId, namespace: this.namespace.name, ...transport };
    log.write({ level: "info", message: "connected", about, details, burst: lineBurst });
    this.#queueBehind(
      member,
      this.#attempt(session, () => lifecycle.connect(this.namespace, member, rooms)),
    );
  }

  /** Handles an event after all events that the member sent before it. */
  dispatch(member: Member, request: Request): void {
    member.events++;
    if (member.queue) member.queue.push(request);
    else this.#queueBehind(member, this.#handle(member, request));
  }

  /** Removes a member whose connection has ended, for any reason. */
  disconnect(member: Member, reason: string, seconds: number): void {
    const { metrics, log } = this.#options;
    const { id, userId, session, events } = member;
    const why = member.closing ?? reason;
    const silently = why === "server shutting down";
    void this.#attempt(session, () => lifecycle.disconnect(this.namespace, member, why, { silently }));
    metrics.disconnects.add([this.namespace.name, why]);
    const about = { address: session.address, reason: why };
    const details = { id, userId, namespace: this.namespace.name, seconds, events };
    log.write({ level: "info", message: "disconnected", about, details, burst: lineBurst });
  }

  /** Queues the events that a member sends before a step of it is done. */
  #queueBehind(member: Member, done: void | Promise<void>): void {
    if (!done) return;
    member.queue = [];
    const handled = done.then(() => {
      const { queue = [] } = member;
      member.queue = undefined;
      for (const request of queue) {
        if (member.queue) (member.queue as Request[]).push(request);
        else this.#queueBehind(member, this.#handle(member, request));
      }
    });
    member.session.waitFor?.(handled);
  }

  #handle(member: Member, request: Request): void | Promise<void> {
    const startMs = performance.now();
    try {
      this.#options.rateLimiter.take(member.session, startMs);
      const reply = call(this.namespace, member, request);
      if (!(reply instanceof Promise)) return this.#succeed(request, startMs, reply);
      return this.#withinTime(member.session, reply)
        .then((late) => this.#succeed(request, startMs, late))
        .catch((thrown) => this.#refuse(member, request, startMs, thrown));
    } catch (thrown) {
      this.#refuse(member, request, startMs, thrown);
    }
  }

  #succeed({ event, ack }: Request, startMs: number, reply: unknown): void {
    ack?.(reply);
    this.#options.metrics.handled(this.#succeeded.get(event) as Count, startMs);
  }

  #refuse(member: Member, { event, ack }: Request, startMs: number, thrown: unknown): void {
    const { metrics, log } = this.#options;
    const { id, userId, session } = member;
    const error = this.#errorOf(session, thrown);
    // Clients can invent event names, so all unknown ones share one label.
    const known = this.#succeeded.has(event) ? String(event) : "unknown";
    metrics.handled(metrics.events.of([this.namespace.name, known, error.code]), startMs);
    const about = { address: session.address, event: known, code: error.code };
    const details = { id, userId, namespace: this.namespace.name };
    log.write({ level: "debug", message: "event refused", about, details, burst: lineBurst });
    if (ack) ack({ error });
    else member.send("error", { event: String(event).slice(0, maxQuotedChars), error });
  }

  /** Runs an action within the time limit. */
  #attempt<T>(
    session: Session,
    action: () => T | Promise<T>,
    succeed: (result: T) => void = () => {},
    refuse: (error: ErrorInfo) => void = () => {},
  ): void | Promise<void> {
    const fail = (thrown: unknown) => refuse(this.#errorOf(session, thrown));
    try {
      const result = action();
      if (result instanceof Promise) return this.#withinTime(session, result).then(succeed).catch(fail);
      succeed(result);
    } catch (thrown) {
      fail(thrown);
    }
  }

  /** Here alone a thrown error becomes the error that the client receives; server faults are logged. */
  #errorOf(session: Session, thrown: unknown): ErrorInfo {
    const error = errorInfo(thrown);
    // A ClientError with this code was logged where it was thrown.
    if (error.code === "internal" && !(thrown instanceof ClientError)) this.#logFault(session, thrown);
    return error;
  }

  #logFault({ address }: Session, thrown: unknown): void {
    const about = { address, fault: String(thrown).slice(0, maxQuotedChars) };
    this.#options.log.write({ level: "error", message: "a handler failed", about, details: { err: thrown } });
  }

  async #withinTime<T>({ address }: Session, promised: Promise<T>): Promise<T> {
    const { handlerTimeoutMs, log } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        log.write({ level: "warn", message: "a handler took too long", about: { address } });
        reject(new ClientError("timeout"));
      }, handlerTimeoutMs);
    });
    const answer = Promise.race([promised, timeout]);
    this.#unanswered.add(answer);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      this.#unanswered.delete(answer);
    }
  }
}

function call({ name, events }: Namespace, member: Member, { event, args }: Request): unknown {
  if (member.closing) throw new ClientError("closing");
  const handler = events.get(event as string);
  if (handler) return handler(member, args);
  throw new ClientError(
    "unknown_event",
    `The namespace ${name} hears only ${[...events.keys()].join(", ")}.`,
  );
}
