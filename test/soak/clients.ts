import type { ErrorCode, ErrorInfo } from "../../src/errors.ts";
import type { Message, NamespaceName } from "../../src/protocol.ts";
import { Deferred, within } from "../support/deferred.ts";
import type { Closing, EngineClient } from "../support/engine-client.ts";
import type { ExpectedCounts } from "./expected-counts.ts";
import type { Room } from "./rooms.ts";

/** The fields of acks that the soak test reads. */
export interface Reply {
  error?: ErrorInfo;
  members?: number;
  recipients?: number;
  missed?: number;
}

/** A client that is connected to one namespace. */
export abstract class Client {
  readonly namespace: NamespaceName;
  readonly userId: string;
  readonly counts: ExpectedCounts;
  /** The rooms it is in. */
  readonly rooms = new Set<Room>();
  /** Called with each message, except large ones. */
  onMessage: ((message: Message) => void) | undefined;
  /** Whether the times of its acks count as those of a well-behaved client. */
  isTimed = true;

  constructor(counts: ExpectedCounts, namespace: NamespaceName, userId: string) {
    this.counts = counts;
    this.namespace = namespace;
    this.userId = userId;
  }

  /** Resolves when the server has disconnected it from the namespace. */
  abstract readonly disconnected: Promise<void>;
  /** Disconnects from the namespace and closes the connection. */
  abstract disconnect(): void;
  /** Closes the connection. */
  abstract close(): void;
  protected abstract emit(event: string, args: unknown[]): Promise<unknown>;

  /** Sends an event and resolves with its ack, which has been counted by then. */
  async ask(event: string, ...args: unknown[]): Promise<Reply> {
    const start = performance.now();
    const reply = await within(`the ack of ${event}`, this.emit(event, args));
    if (this.isTimed) this.counts.ackTimes.push(performance.now() - start);
    return reply as Reply;
  }

  /** Counts an ack. A reply that is not an object may be anything and is not read. */
  protected answered(event: string, ack: unknown): Reply {
    const reply: Reply = typeof ack === "object" && ack !== null ? ack : {};
    this.counts.answered(this.namespace, event, (reply.error?.code as ErrorCode) ?? "ok");
    return reply;
  }
}

/** Longer packets are counted but not parsed. */
const longestLookedAt = 4_096;

/** A hand-driven Socket.IO client over any Engine.IO client, which several may share. */
export class RawClient<E extends EngineClient = EngineClient> extends Client {
  readonly engine: E;
  /** Called with the start of every message, in JSON. */
  onRawMessage: ((body: string) => void) | undefined;
  readonly #prefix: string;
  readonly #connected = new Deferred();
  readonly #disconnected = new Deferred();
  readonly #requests = new Map<number, { event: string; reply: Deferred<Reply> }>();
  #nextId = 0;
  /** How its connection has ended. */
  #loss: Error | undefined;

  constructor(engine: E, counts: ExpectedCounts, namespace: NamespaceName, userId: string) {
    super(counts, namespace, userId);
    this.engine = engine;
    this.#prefix = namespace === "/" ? "" : `${namespace},`;
    const { onPacket } = engine;
    engine.onPacket = (packet) => {
      onPacket(packet);
      if (packet[0] === "4") this.#receive(packet);
    };
    void engine.closed.then((closing) => this.#lose(closing));
  }

  override get disconnected(): Promise<void> {
    return this.#disconnected.promise;
  }

  get isLost(): boolean {
    return this.#loss !== undefined;
  }

  /**
   * Connects to the namespace; rejects if refused. An Engine.IO 3 client has sent its handshake in the query.
   */
  async connect(room: string[], auth: object = { userId: this.userId, room }): Promise<this> {
    if (this.engine.version === 4) this.engine.send(`40${this.#prefix}${JSON.stringify(auth)}`);
    await within("connected!", this.#connected.promise);
    this.counts.connected(this.namespace);
    return this;
  }

  /** Sends an event whose ack may never arrive; the ack is counted if it does. */
  tell(event: string, ...args: unknown[]): void {
    this.#send(event, args, true).catch(() => {});
  }

  /** Calls `write` to send an event with a new id in any form. @returns its ack */
  send(event: string, write: (id: number) => void): Promise<Reply> {
    if (this.#loss) return Promise.reject(this.#loss);
    const id = this.#nextId++;
    const reply = new Deferred<Reply>();
    this.#requests.set(id, { event, reply });
    write(id);
    return reply.promise;
  }

  /** The events that were sent and not acked. */
  get unanswered(): string[] {
    return [...this.#requests.values()].map(({ event }) => event);
  }

  override disconnect(): void {
    this.engine.send(`41${this.#prefix}`);
    this.engine.close();
  }

  override close(): void {
    this.engine.close();
  }

  protected override emit(event: string, args: unknown[]): Promise<Reply> {
    return this.#send(event, args, false);
  }

  #send(event: string, args: unknown[], isUncertain: boolean): Promise<Reply> {
    return this.send(event, (id) =>
      this.engine.send(`42${this.#prefix}${id}${JSON.stringify([event, ...args])}`, isUncertain),
    );
  }

  /** Handles the packets of its namespace. */
  #receive(packet: string): void {
    const end = packet[2] === "/" ? packet.search(/,|$/) : 2;
    if ((end === 2 ? "/" : packet.slice(2, end)) !== this.namespace) return;
    const [type, body] = [packet[1], packet.slice(end === 2 ? 2 : end + 1)];
    if (type === "2" && body.startsWith('["res"')) this.#hear(body);
    else if (type === "3") this.#acknowledge(body);
    else if (type === "1") this.#disconnected.resolve();
    else if (type === "4") this.#connected.reject(new Error(`refused: ${body}`));
  }

  #hear(body: string): void {
    if (body.includes('"text":"connected!"')) this.#connected.resolve();
    else {
      this.counts.heard();
      this.onRawMessage?.(body);
      if (this.onMessage && body.length < longestLookedAt) this.onMessage(JSON.parse(body)[1]);
    }
  }

  #acknowledge(body: string): void {
    const start = body.indexOf("[");
    const id = Number(body.slice(0, start));
    const request = this.#requests.get(id);
    if (!request) this.counts.problem("an ack for no event that is waiting for one");
    this.#requests.delete(id);
    request?.reply.resolve(this.answered(request.event, JSON.parse(body.slice(start))[0]));
  }

  #lose({ code, reason }: Closing): void {
    const error = new Error(`closed with ${code} ${reason}`);
    this.#loss = error;
    this.#connected.reject(error);
    this.#disconnected.reject(error);
    for (const { reply } of this.#requests.values()) reply.reject(error);
  }
}
