import { ClientError, type ErrorInfo, leavesNamespaceOnly, maxQuotedChars } from "../errors.ts";
import type { RateLimiter } from "../limits/rate-limiter.ts";
import type { Count, Metrics } from "../ops/metrics.ts";
import type { RepeatLog } from "../ops/repeat-log.ts";
import { type Attempts, isPending } from "./attempts.ts";
import type { Handshakes } from "./handshakes.ts";
import * as lifecycle from "./lifecycle.ts";
import type { AcceptedHandshake, ClientSession, Member } from "./member.ts";
import type { Namespace } from "./namespace.ts";
import { PendingSteps, type Request } from "./pending-steps.ts";

/** The options of a {@link Dispatcher}. */
export interface DispatcherOptions {
  attempts: Attempts;
  handshakes: Handshakes;
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

  constructor(namespace: Namespace, options: DispatcherOptions) {
    this.namespace = namespace;
    this.#options = options;
    const { name, events } = namespace;
    options.metrics.connects.of([name]);
    for (const event of events.keys()) {
      this.#succeeded.set(event, options.metrics.events.of([name, event, "ok"]));
    }
  }

  /**
   * Decides from its handshake whether a client may connect.
   *
   * @param id the connection's id
   * @param handshake reads the handshake, which costs time and so counts towards the rate limit
   */
  admit(
    session: ClientSession,
    id: string,
    handshake: () => lifecycle.Handshake,
    admitted: (accepted: AcceptedHandshake) => void,
    refused: (error: ErrorInfo) => void,
  ): void {
    const { name } = this.namespace;
    const check = () => lifecycle.admit(this.namespace, id, handshake());
    this.#options.handshakes.check(session, { id, namespace: name }, check, admitted, (error) => {
      // Clients do not come back after a refusal.
      if (error.code === "unavailable") session.close("unavailable");
      else refused(error);
    });
  }

  /** Connects an admitted member: it joins the rooms of its handshake and receives "connected!". */
  connect(member: Member, accepted: AcceptedHandshake, transport: object): void {
    const { attempts, metrics, log } = this.#options;
    const { id, userId, session } = member;
    metrics.connects.add([this.namespace.name]);
    const about = { address: session.address };
    const details = { id, userId, namespace: this.namespace.name, ...transport };
    log.write({ level: "info", message: "connected", about, details, burst: lineBurst });
    this.#await(
      member,
      attempts.run(
        session,
        () => lifecycle.connect(this.namespace, member, accepted),
        () => {},
        () => member.close("unavailable"),
      ),
    );
  }

  /** Handles an event after all events that the member sent before it. */
  dispatch(member: Member, request: Request): void {
    member.events++;
    this.#take(member, request);
  }

  #take(member: Member, request: Request): void {
    const { pending } = member;
    const mayOverlap = pending !== undefined && this.#mayOverlap(request);
    if (pending === undefined || (mayOverlap && !pending.isFull))
      this.#await(member, this.#handle(member, request), request);
    else {
      pending.requests.push(request);
      member.session.waitFor?.(pending.done);
    }
  }

  /** Removes a member whose connection has ended, for any reason. */
  disconnect(member: Member, reason: string, seconds: number): void {
    const { attempts, metrics, log } = this.#options;
    const { id, userId, session, events } = member;
    const why = member.closing ?? reason;
    // Without other nodes, nobody would hear it.
    const silently = why === "server shutting down" && !this.namespace.rooms.isShared;
    void attempts.run(session, () => lifecycle.disconnect(this.namespace, member, why, { silently }));
    metrics.disconnects.add([this.namespace.name, why]);
    // The gateway counts the reasons that end a whole session.
    if (leavesNamespaceOnly(why)) metrics.endings.add([why]);
    const about = { address: session.address, reason: why };
    const details = { id, userId, namespace: this.namespace.name, seconds, events };
    log.write({ level: "info", message: "disconnected", about, details, burst: lineBurst });
  }

  #mayOverlap = ({ event }: Request) => this.namespace.overlapping.has(event as string);

  /**
   * Handles what a member sends before a step of it is done when that is done, except for requests that may overlap.
   *
   * @param request undefined for the handshake
   */
  #await(member: Member, step: void | Promise<void>, request?: Request): void {
    if (!step) return;
    const pending = member.pending ?? new PendingSteps(request !== undefined && this.#mayOverlap(request));
    member.pending = pending;
    pending.add(step, () => {
      member.pending = undefined;
      for (const waiting of pending.requests) this.#take(member, waiting);
    });
    if (pending.isFull) member.session.waitFor?.(pending.done);
  }

  /** As {@link Attempts.run}, but without a closure for each event. */
  #handle(member: Member, request: Request): void | Promise<void> {
    const { attempts, rateLimiter } = this.#options;
    const startMs = performance.now();
    try {
      rateLimiter.take(member.session, startMs);
      const reply = call(this.namespace, member, request);
      if (!isPending(reply)) return this.#succeed(request, startMs, reply);
      return attempts.settle(member.session, reply).then(
        (late) => this.#succeed(request, startMs, late),
        (thrown) => this.#refuse(member, request, startMs, attempts.errorOf(member.session, thrown)),
      );
    } catch (thrown) {
      this.#refuse(member, request, startMs, attempts.errorOf(member.session, thrown));
    }
  }

  #succeed({ event, ack }: Request, startMs: number, reply: unknown): void {
    ack?.(reply);
    this.#options.metrics.handled(this.#succeeded.get(event) as Count, startMs);
  }

  #refuse(member: Member, { event, ack }: Request, startMs: number, error: ErrorInfo): void {
    const { metrics, log } = this.#options;
    const { id, userId, session } = member;
    // Clients can invent event names, so all unknown ones share one label.
    const known = this.#succeeded.has(event) ? String(event) : "unknown";
    metrics.handled(metrics.events.of([this.namespace.name, known, error.code]), startMs);
    const about = { address: session.address, event: known, code: error.code };
    const details = { id, userId, namespace: this.namespace.name };
    log.write({ level: "debug", message: "event refused", about, details, burst: lineBurst });
    if (ack) ack({ error });
    else member.send("error", { event: String(event).slice(0, maxQuotedChars), error });
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
