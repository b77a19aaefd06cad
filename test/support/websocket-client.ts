import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Closing, EngineClient, type EngineOptions } from "./engine-client.ts";
import { FrameReader, frame, opcodes, textFrame } from "./frames.ts";
import { enginePath, upgradeRequest } from "./http.ts";

/** An Engine.IO session over a WebSocket on its own TCP connection, which can send arbitrary bytes. */
export class WebSocketClient extends EngineClient {
  readonly socket: Socket;
  readonly #reader: FrameReader;
  /** The part of the upgrade response that has arrived; undefined once the response is complete. */
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
    // Replies to packets that arrived together are sent together.
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

  /** Writes raw bytes; resolves when the kernel has room for more or the connection has ended. */
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

  /** Stops reading until `resume` is called. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** From now on reads continuously, but at this rate. */
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
