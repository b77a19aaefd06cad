import { once } from "node:events";
import { Agent } from "node:http";
import { connect, type Socket } from "node:net";
import { Deferred } from "./deferred.ts";
import { FrameReader, frame, opcodes, textFrame } from "./frames.ts";
import { enginePath, exchange, upgradeRequest, type Version } from "./http.ts";

/** How a connection ended, as its client saw it (RFC 6455, 7.1.5 and 7.1.6). */
export interface Closing {
  code: number;
  reason: string;
}

/** Receives how many bytes a client has read and sent, counted as the server counts them. */
export interface Traffic {
  read(bytes: number, uncertain?: number): void;
  /** @param uncertain of these bytes, those that the server may not have read */
  wrote(bytes: number, uncertain?: number): void;
  /** The client will not read everything that was sent to it. */
  unread(): void;
}

export interface EngineOptions {
  version?: Version;
  /** Query parameters beside Engine.IO's own, such as `room=lobby`. */
  query?: string[];
  headers?: Record<string, string>;
  /** Joins the session with this id by an upgrade, instead of opening one. */
  sid?: string;
  /** Of longer packets only so much is read. */
  keptBytes?: number;
  traffic?: Traffic;
}

const uncounted: Traffic = { read() {}, wrote() {}, unread() {} };

/** An Engine.IO session by hand: it sends what it is told to, right or wrong, and answers heartbeats. */
export abstract class EngineClient {
  readonly version: Version;
  readonly traffic: Traffic;
  sid = "";
  /** Whether it keeps the session alive. */
  isAwake = true;
  /** Receives each packet of the server's. */
  onPacket: (packet: string) => void = () => {};
  onPing: () => void = () => {};
  readonly #opened = new Deferred();
  readonly #closed = new Deferred<Closing>();
  #heartbeat: NodeJS.Timeout | undefined;

  constructor({ version = 4, traffic = uncounted }: EngineOptions) {
    this.version = version;
    this.traffic = traffic;
  }

  /** Resolves when the server has opened the session; rejects if it refuses to. */
  get opened(): Promise<this> {
    return this.#opened.promise.then(() => this);
  }

  /** Resolves when the connection has ended, whoever ended it. */
  get closed(): Promise<Closing> {
    return this.#closed.promise;
  }

  /** @param isUncertain the server may not come to read it */
  abstract send(packet: string, isUncertain?: boolean): void;
  abstract close(): void;
  /** Goes away without a word. */
  abstract drop(): void;

  protected receive(packet: string): void {
    if (packet[0] === "0") this.#open(JSON.parse(packet.slice(1)));
    else if (packet[0] === "2" && this.version === 4) this.#answer();
    this.onPacket(packet);
  }

  protected end(closing: Closing): void {
    clearInterval(this.#heartbeat);
    this.#opened.reject(new Error(`closed with ${closing.code} ${closing.reason}`));
    this.#closed.resolve(closing);
  }

  /** From Engine.IO 4 on the server sends the pings, before that the client. */
  #open({ sid, pingInterval }: { sid: string; pingInterval: number }): void {
    this.sid = sid;
    this.#opened.resolve();
    if (this.version === 3)
      this.#heartbeat = setInterval(() => this.isAwake && this.send("2", true), pingInterval);
  }

  #answer(): void {
    if (this.isAwake) this.send("3", true);
    this.onPing();
  }
}

/** An Engine.IO session over a WebSocket on a TCP connection of its own, which may send any bytes at all. */
export class WebSocketClient extends EngineClient {
  readonly socket: Socket;
  readonly #reader: FrameReader;
  /** What has arrived of the response to the upgrade request; undefined once it is complete. */
  #head: Buffer | undefined = Buffer.alloc(0);
  #closing: Closing = { code: 1006, reason: "" };
  #isClosing = false;

  constructor(url: string, options: EngineOptions = {}) {
    super(options);
    const { port, hostname } = new URL(url);
    const { version = 4, query = [], sid, headers, keptBytes } = options;
    this.#reader = new FrameReader(
      (opcode, chunk, start, end, length) => this.receiveFrame(opcode, chunk, start, end, length),
      keptBytes,
    );
    this.socket = connect({ port: Number(port), host: hostname, noDelay: true });
    this.socket.on("error", () => {});
    // The answers to what arrived together leave together.
    this.socket.on("data", (chunk) => {
      this.socket.cork();
      this.#read(chunk);
      this.socket.uncork();
    });
    this.socket.on("close", () => this.end(this.#closing));
    const target = enginePath(version, "websocket", ...(sid ? [`sid=${sid}`] : []), ...query);
    this.socket.write(upgradeRequest(target, headers));
  }

  override send(packet: string, isUncertain = false): void {
    const bytes = Buffer.byteLength(packet);
    if (this.#isClosing || !this.socket.writable) return;
    this.traffic.wrote(bytes, isUncertain ? bytes : 0);
    this.socket.write(textFrame(packet));
  }

  /** Writes bytes as they are; resolves when the kernel has room for more, or the connection has ended. */
  async write(bytes: Buffer): Promise<void> {
    this.traffic.wrote(bytes.length, bytes.length);
    if (this.socket.destroyed || this.socket.write(bytes)) return;
    await Promise.race([once(this.socket, "drain"), this.closed]).catch(() => {});
  }

  override close(): void {
    this.traffic.unread();
    this.#sendClose();
  }

  override drop(): void {
    this.traffic.unread();
    this.socket.destroy();
  }

  /** Reads no more, until `resume`. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** From now on reads continuously, but so slowly. */
  throttle(bytesPerSecond: number): void {
    this.socket.on("data", ({ length }) => {
      this.socket.pause();
      setTimeout(() => this.socket.resume(), (length / bytesPerSecond) * 1_000);
    });
  }

  #read(chunk: Buffer): void {
    if (this.#head) this.#readHead(Buffer.concat([this.#head, chunk]));
    else this.#reader.read(chunk);
  }

  #readHead(head: Buffer): void {
    this.#head = head;
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    if (!head.toString("latin1", 0, 12).endsWith("101")) {
      this.#closing = {
        code: Number(head.toString("latin1", 9, 12)),
        reason: head.toString("utf8", end + 4),
      };
      this.#isClosing = true;
      return;
    }
    this.#head = undefined;
    if (head.length > end + 4) this.#reader.read(head.subarray(end + 4));
  }

  protected receiveFrame(opcode: number, chunk: Buffer, start: number, end: number, length: number): void {
    if (opcode === opcodes.text || opcode === opcodes.binary) {
      this.traffic.read(length + (length < 126 ? 2 : length < 65_536 ? 4 : 10));
      this.receive(chunk.toString("utf8", start, end));
    } else if (opcode === opcodes.close) {
      const code = length >= 2 ? chunk.readUInt16BE(start) : 1005;
      this.#closing = { code, reason: chunk.toString("utf8", start + 2, end) };
      this.#sendClose();
    }
  }

  #sendClose(): void {
    if (!this.#isClosing && this.socket.writable) this.socket.write(frame(opcodes.close));
    this.#isClosing = true;
  }
}

const separator = "\x1e";

/** An Engine.IO session over HTTP long-polling. */
export class PollingClient extends EngineClient {
  /** Where it polls and posts; without the session's id until it is open. */
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
    // Engine.IO 3 would answer in binary otherwise.
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

  /** Takes the answer to the poll that waits, and polls no more. */
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
    if (this.#isPolling) this.end({ code: 0, reason: "the session is over" });
    if (!this.#isPosting) this.#agent.destroy();
  }

  /** Posts one after the other, as Engine.IO asks for. */
  async #post(): Promise<void> {
    this.#isPosting = true;
    while (this.#outgoing.length > 0) {
      await this.#request({ method: "POST", body: this.#encode(this.#batch()) });
    }
    this.#isPosting = false;
    if (!this.#isPolling) this.#agent.destroy();
  }

  /**
   * The packets of the next post. The close packet goes alone: Socket.IO would handle what is in one post with it
   * only afterwards, and would report another reason for the disconnect.
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
