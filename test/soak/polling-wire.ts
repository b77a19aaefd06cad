import type { Ledger } from "./ledger.ts";
import { Wire } from "./wire.ts";

const separator = "\x1e";

/** A polling client by hand. */
export class PollingWire extends Wire {
  readonly #address: string;
  readonly #abort = new AbortController();
  #isPolling = true;
  #isPosting = false;
  readonly #outgoing: string[] = [];

  private constructor(ledger: Ledger, address: string) {
    super(ledger);
    this.#address = address;
    void this.#poll();
  }

  /** Resolves when it has its session. */
  static async open(ledger: Ledger, url: string): Promise<PollingWire> {
    const address = `${url}&EIO=4&transport=polling`;
    const opened = await (await fetch(address)).text();
    ledger.read(opened.length, opened.length);
    return new PollingWire(ledger, `${address}&sid=${JSON.parse(opened.slice(1)).sid}`);
  }

  override send(packet: string, isUnsure = false): void {
    const bytes = Buffer.byteLength(packet) + 1;
    // Between packets there is one byte more, between posts none.
    this.ledger.wrote(bytes, isUnsure ? bytes : 1);
    this.#outgoing.push(packet);
    if (!this.#isPosting) void this.#post();
  }

  override close(): void {
    this.ledger.unread();
    this.#isPolling = false;
    this.send("1");
  }

  /** Takes the answer to the poll that waits, and polls no more. */
  silence(): void {
    this.ledger.unread();
    this.#isPolling = false;
  }

  /** Takes back the poll that waits, and is gone. */
  drop(): void {
    this.silence();
    this.#abort.abort();
  }

  async #poll(): Promise<void> {
    while (this.#isPolling) {
      const body = await this.#ask({ signal: this.#abort.signal });
      if (body === undefined) break;
      this.ledger.read(Buffer.byteLength(body));
      for (const packet of body.split(separator)) this.hear(packet);
    }
    if (this.#isPolling) this.gone({ code: 0, reason: "the session is over" });
  }

  /** One post at a time, as Engine.IO asks for. */
  async #post(): Promise<void> {
    this.#isPosting = true;
    while (this.#outgoing.length > 0) {
      await this.#ask({ method: "POST", body: this.#batch().join(separator) });
    }
    this.#isPosting = false;
  }

  /**
   * What leaves with the next post. The end of the session goes alone: Socket.IO hears what is in one post with it
   * only afterwards, and would give another reason for the end than the client did.
   */
  #batch(): string[] {
    const end = this.#outgoing.indexOf("1");
    return this.#outgoing.splice(0, end > 0 ? end : this.#outgoing.length);
  }

  /** @returns undefined where there is no session any more */
  async #ask(init: RequestInit): Promise<string | undefined> {
    try {
      const response = await fetch(this.#address, init);
      const body = await response.text();
      return response.ok ? body : undefined;
    } catch {
      return undefined;
    }
  }
}
