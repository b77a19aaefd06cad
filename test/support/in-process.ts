import { EventEmitter } from "node:events";
import type { Core } from "../../src/core.ts";
import type { DisconnectReason } from "../../src/errors.ts";
import type { Dispatcher } from "../../src/namespaces/dispatcher.ts";
import { type AcceptedHandshake, type ClientSession, Member } from "../../src/namespaces/member.ts";
import type { Message } from "../../src/protocol.ts";
import type { Gateway } from "../../src/rooms/connection.ts";
import type { Envelope } from "../../src/rooms/envelope.ts";

/*
 * A second gateway, without sockets, which proves that the core does not depend on Socket.IO. Its clients
 * have the part of socket.io-client's interface that the behaviour suites use. It copies all values as JSON,
 * as a network connection would.
 */

/** The cores of the servers in this process, by URL. */
export const cores = new Map<string, Core | undefined>();

const copied = (value: unknown) => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

class InProcessGateway implements Gateway {
  deliver(members: readonly InProcessMember[], { event, payload }: Envelope): void {
    for (const member of members) member.send(event, payload);
  }
}

const gateway = new InProcessGateway();
let connections = 0;

class InProcessMember extends Member {
  readonly gateway = gateway;
  readonly transport = "in-process";
  readonly protocol = 1;
  readonly #client: InProcessClient;

  constructor(client: InProcessClient, session: ClientSession, accepted: AcceptedHandshake) {
    super(session, accepted);
    this.#client = client;
  }

  send(event: string, ...args: unknown[]): void {
    this.#client.receive(event, copied(args));
  }

  whisper(message: Message): void {
    this.send(this.id, message);
  }

  close(reason: DisconnectReason): void {
    this.closing = reason;
    this.#client.lose("io server disconnect", reason);
  }
}

export class InProcessClient {
  id: string | undefined;
  readonly #dispatcher: Dispatcher | undefined;
  readonly #handshake: { query?: object; auth?: object };
  readonly #events = new EventEmitter();
  #member: InProcessMember | undefined;

  constructor(url: string, handshake: { query?: object; auth?: object }) {
    const { origin, pathname } = new URL(url);
    this.#dispatcher = cores.get(origin)?.dispatchers.find(({ namespace }) => namespace.name === pathname);
    this.#handshake = handshake;
    setImmediate(() => this.connect());
  }

  connect(): void {
    const dispatcher = this.#dispatcher;
    if (!dispatcher) {
      this.receive("connect_error", [new Error("Invalid namespace")]);
      return;
    }
    const id = `in-process-${++connections}`;
    const session: ClientSession = {
      address: "in-process",
      bucket: undefined,
      handshakes: 0,
      close: (reason) => this.lose("transport close", reason),
    };
    const handshake = copied({ ...this.#handshake.query, ...this.#handshake.auth });
    const admitted = (accepted: AcceptedHandshake) => {
      this.id = id;
      this.#member = new InProcessMember(this, session, accepted);
      this.receive("connect", []);
      dispatcher.connect(this.#member, accepted, {});
    };
    const refused = (error: { message: string }) =>
      this.receive("connect_error", [Object.assign(new Error(error.message), { data: error })]);
    dispatcher.admit(session, id, () => handshake, admitted, refused);
  }

  on(event: string, listener: (...args: unknown[]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  once(event: string, listener: (...args: unknown[]) => void): this {
    this.#events.once(event, listener);
    return this;
  }

  emit(event: string, ...args: unknown[]): void {
    this.#send(event, args, undefined);
  }

  emitWithAck(event: string, ...args: unknown[]): Promise<unknown> {
    return new Promise((resolve) =>
      this.#send(event, args, (reply) => {
        const copy = copied(reply);
        // Resolves after the events that were sent before the ack.
        setImmediate(() => resolve(copy));
      }),
    );
  }

  disconnect(): void {
    this.lose("io client disconnect", "client namespace disconnect");
  }

  /** Delivers an event to the client one turn after it was sent, as a socket would. */
  receive(event: string, args: unknown[]): void {
    setImmediate(() =>
      event === "error" && this.#events.listenerCount("error") === 0
        ? undefined
        : this.#events.emit(event, ...args),
    );
  }

  lose(reason: string, why: string): void {
    const member = this.#member;
    if (!member) return;
    this.#member = undefined;
    this.#dispatcher?.disconnect(member, why, 0);
    this.receive("disconnect", [reason]);
  }

  #send(event: unknown, args: unknown[], ack: ((reply: unknown) => void) | undefined): void {
    const member = this.#member;
    if (member) this.#dispatcher?.dispatch(member, { event, args: copied(args), ack });
  }
}
