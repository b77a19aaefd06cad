import type { ErrorCode } from "../../src/errors.ts";
import type { Message, NamespaceName } from "../../src/protocol.ts";
import { type Guest, type Reply, replyOf } from "./guest.ts";
import type { Ledger } from "./ledger.ts";
import type { Room } from "./room.ts";
import { Deferred, within } from "./waiting.ts";
import type { Closing, Wire } from "./wire.ts";

/** Longer packets are counted and not looked into. */
const longestLookedAt = 4_096;

interface Question {
  event: string;
  reply: Deferred<Reply>;
}

/** A client that speaks Socket.IO 5 by hand, over any wire; several may share one. */
export class RawGuest<W extends Wire = Wire> implements Guest {
  readonly namespace: NamespaceName;
  readonly userId: string;
  readonly rooms = new Set<Room>();
  readonly wire: W;
  onMessage: ((message: Message) => void) | undefined;
  readonly #ledger: Ledger;
  readonly #welcomed = new Deferred();
  readonly #dismissed = new Deferred();
  readonly #questions = new Map<number, Question>();
  readonly #prefix: string;
  #asked = 0;
  /** How its connection ended, once it has. */
  #loss: Error | undefined;

  constructor(wire: W, namespace: NamespaceName, userId: string) {
    this.wire = wire;
    this.namespace = namespace;
    this.userId = userId;
    this.#ledger = wire.ledger;
    this.#prefix = namespace === "/" ? "" : `${namespace},`;
    wire.listen(namespace, (type, body) => this.#hear(type, body));
    void wire.closed.then((closing) => this.#lose(closing));
  }

  get dismissed(): Promise<void> {
    return this.#dismissed.promise;
  }

  /** Connects to the namespace; rejects where it is refused. */
  async connect(room: string[]): Promise<this> {
    this.wire.send(`40${this.#prefix}${JSON.stringify({ userId: this.userId, room })}`);
    await within("connected!", this.#welcomed.promise);
    this.#ledger.connected(this.namespace);
    return this;
  }

  ask(event: string, ...args: unknown[]): Promise<Reply> {
    return within(`the ack of ${event}`, this.#ask(event, args, false));
  }

  /** Sends an event whose ack it may not live to see; it counts where it comes. */
  tell(event: string, ...args: unknown[]): void {
    this.#ask(event, args, true).catch(() => {});
  }

  /** The events that were told or asked and are not acked. */
  get unanswered(): string[] {
    return [...this.#questions.values()].map(({ event }) => event);
  }

  disconnect(): void {
    this.wire.send(`41${this.#prefix}`);
    this.wire.close();
  }

  close(): void {
    this.wire.close();
  }

  #ask(event: string, args: unknown[], isUnsure: boolean): Promise<Reply> {
    if (this.#loss) return Promise.reject(this.#loss);
    const id = this.#asked++;
    const reply = new Deferred<Reply>();
    this.#questions.set(id, { event, reply });
    this.wire.send(`42${this.#prefix}${id}${JSON.stringify([event, ...args])}`, isUnsure);
    return reply.promise;
  }

  #hear(type: string, body: string): void {
    if (type === "2" && body.startsWith('["res"')) this.#read(body);
    else if (type === "3") this.#answer(body);
    else if (type === "1") this.#dismissed.resolve();
    else if (type === "4") this.#welcomed.reject(new Error(`refused: ${body}`));
  }

  #read(body: string): void {
    if (body.includes('"text":"connected!"')) {
      this.#welcomed.resolve();
      return;
    }
    this.#ledger.heard();
    if (this.onMessage && body.length < longestLookedAt) this.onMessage(JSON.parse(body)[1]);
  }

  #answer(body: string): void {
    const start = body.indexOf("[");
    const id = Number(body.slice(0, start));
    const question = this.#questions.get(id);
    if (!question) {
      this.#ledger.surprise("an ack that nobody waits for");
      return;
    }
    this.#questions.delete(id);
    const reply = replyOf(JSON.parse(body.slice(start))[0]);
    this.#ledger.answered(this.namespace, question.event, (reply.error?.code as ErrorCode) ?? "ok");
    question.reply.resolve(reply);
  }

  #lose({ code, reason }: Closing): void {
    const error = new Error(`closed with ${code} ${reason}`);
    this.#loss = error;
    this.#welcomed.reject(error);
    this.#dismissed.reject(error);
    for (const { reply } of this.#questions.values()) reply.reject(error);
  }
}
