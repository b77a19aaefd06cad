import { Agent } from "node:http";
import { EngineClient, type EngineOptions } from "./engine-client.ts";
import { enginePath, exchange } from "./http.ts";

const separator = "\x1e";

/** An Engine.IO session over HTTP long-polling. */
export class PollingClient extends EngineClient {
  /** The URL of polls and posts, which lacks the session's id until the session is open. */
  #url: string;
  readonly #headers: Record<string, string>;
  readonly #abort = new AbortController();
  readonly #agent = new Agent({ keepAlive: true });
  #isPolling = true;
  #isPosting = false;
  readonly #outgoing: string[] = [];

  constructor(url: string, options: EngineOptions = {}) {
    super(options);
    const { version = 4, query = [], headers = {} } = options;
    // Engine.IO 3 would respond in binary otherwise.
    this.#url = url + enginePath(version, "polling", ...(version === 3 ? ["b64=1"] : []), ...query);
    this.#headers = headers;
    void this.#poll();
  }

  override send(packet: string, isUncertain = false): void {
    const framing = this.version === 3 ? `${packet.length}:`.length : 1;
    const bytes = Buffer.byteLength(packet) + framing;
    // A separator stands between packets, but not between posts.
    this.traffic.wrote(bytes, isUncertain ? bytes : framing);
    this.#outgoing.push(packet);
    if (!this.#isPosting) void this.#post();
  }

  override close(): void {
    this.traffic.unread();
    this.#isPolling = false;
    this.send("1");
  }

  /** Reads the response to the pending poll and does not poll again. */
  silence(): void {
    this.traffic.unread();
    this.#isPolling = false;
  }

  override drop(): void {
    this.silence();
    this.#abort.abort();
  }

  async #poll(): Promise<void> {
    while (this.#isPolling) {
      const body = await this.#request({ signal: this.#abort.signal });
      if (body === undefined) break;
      const bytes = Buffer.byteLength(body);
      this.traffic.read(bytes, this.sid ? 0 : bytes);
      for (const packet of this.#decode(body)) {
        this.receive(packet);
        if (packet[0] === "0") this.#url += `&sid=${this.sid}`;
      }
    }
    if (this.#isPolling) this.#fail();
    if (!this.#isPosting) this.#agent.destroy();
  }

  /** Sends one POST after the other, as Engine.IO requires. */
  async #post(): Promise<void> {
    this.#isPosting = true;
    while (this.#outgoing.length > 0) {
      const answer = await this.#request({ method: "POST", body: this.#encode(this.#batch()) });
      // The packets are lost, so the session is of no use even if the server keeps it.
      if (answer === undefined && this.#isPolling) this.#fail();
    }
    this.#isPosting = false;
    if (!this.#isPolling) this.#agent.destroy();
  }

  #fail(): void {
    this.#isPolling = false;
    this.#abort.abort();
    this.end({ code: 0, reason: "the session is over" });
  }

  /**
   * The packets of the next POST. The close packet is sent alone: Socket.IO would handle other packets of the
   * same POST only after it, and would report another reason for the disconnect.
   */
  #batch(): string[] {
    const end = this.#outgoing.indexOf("1");
    return this.#outgoing.splice(0, end > 0 ? end : this.#outgoing.length);
  }

  #encode(packets: string[]): string {
    if (this.version === 4) return packets.join(separator);
    return packets.map((packet) => `${packet.length}:${packet}`).join("");
  }

  #decode(body: string): string[] {
    if (this.version === 4) return body.split(separator);
    const packets: string[] = [];
    for (let at = 0; at < body.length; ) {
      const colon = body.indexOf(":", at);
      const end = colon + 1 + Number(body.slice(at, colon));
      packets.push(body.slice(colon + 1, end));
      at = end;
    }
    return packets;
  }

  /** @returns undefined if the session is over */
  async #request(
    options: { method?: string; body?: string; signal?: AbortSignal } = {},
  ): Promise<string | undefined> {
    const { status, body } = await exchange(this.#url, {
      ...options,
      headers: this.#headers,
      agent: this.#agent,
    });
    return status === 200 ? body : undefined;
  }
}
