import type { Ledger } from "./ledger.ts";
import { Deferred } from "./waiting.ts";

/** How a connection ended, as its client saw it. */
export interface Closing {
  code: number;
  reason: string;
}

/** An Engine.IO session by hand: it passes on Socket.IO's packets of each namespace, and answers pings. */
export abstract class Wire {
  readonly ledger: Ledger;
  /** Answers the pings of the server. */
  isAwake = true;
  readonly #closed = new Deferred<Closing>();
  readonly #listeners = new Map<string, (type: string, body: string) => void>();
  readonly #pings = new Set<() => void>();

  constructor(ledger: Ledger) {
    this.ledger = ledger;
  }

  /** Resolves once it is closed, whoever did that. */
  get closed(): Promise<Closing> {
    return this.#closed.promise;
  }

  /** @param isUnsure the server may not come to read it */
  abstract send(packet: string, isUnsure?: boolean): void;
  abstract close(): void;

  /** Hears the packets of a namespace: the type, and all behind the namespace. */
  listen(namespace: string, listener: (type: string, body: string) => void): void {
    this.#listeners.set(namespace, listener);
  }

  /** Resolves when the server has pinged, and that was answered. */
  pinged(): Promise<void> {
    return new Promise((resolve) => this.#pings.add(resolve));
  }

  protected hear(packet: string): void {
    if (packet[0] === "2") this.#ping();
    else if (packet[0] === "4") this.#route(packet);
  }

  protected gone(closing: Closing): void {
    this.#closed.resolve(closing);
  }

  #ping(): void {
    // It may be on its way when the client goes.
    if (this.isAwake) this.send("3", true);
    for (const hear of this.#pings) hear();
    this.#pings.clear();
  }

  #route(packet: string): void {
    const end = packet[2] === "/" ? packet.search(/,|$/) : 2;
    const namespace = end === 2 ? "/" : packet.slice(2, end);
    this.#listeners.get(namespace)?.(packet[1] ?? "", packet.slice(end === 2 ? 2 : end + 1));
  }
}
