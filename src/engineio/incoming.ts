import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { ByteRate, type ByteRateBounds } from "../limits/byte-rate.ts";
import type { InboundMemory, Unfinished } from "../limits/inbound-memory.ts";
import { chunkBytes, FrameScanner, slabBytes } from "./frame-scanner.ts";

/** Limits on what a client may send over one WebSocket. */
export interface ReceiveBounds extends ByteRateBounds {
  /** Size of the largest message, in bytes. */
  maxPayloadBytes: number;
}

/** State that all WebSockets of a server share. */
export interface Receiving {
  memory: InboundMemory;
  bounds: ReceiveBounds;
  /** Shared by all WebSockets that are between two messages, which are nearly all. */
  scanner: FrameScanner;
}

/** The transport on a WebSocket: a session's transport, or one that is still probing for an upgrade. */
export interface Receiver {
  /**
   * Counts frames against the session's packet limit.
   *
   * @returns false if the transport has no session, yet or any more
   */
  admits(frames: number): boolean;
  /** Called if the client sends a message in too many parts, or too much of an unfinished one. */
  refuseUnfinished(): void;
  receive(data: Buffer, isBinary: boolean): void;
  /** Called for each ping, which `ws` answers by itself. */
  checkPongs(): void;
  fail(error: Error): void;
  closed(): void;
}

/** The most fragments of one message: some clients send a large message in pieces of 4 kB. */
export const maxFragments = (maxPayloadBytes: number) => Math.max(64, Math.ceil(maxPayloadBytes / 4_096));

/** The most chunks of one frame: no network cuts a large message into segments smaller than 512 bytes. */
export const maxBufferedChunks = (maxPayloadBytes: number) => 64 + Math.ceil(maxPayloadBytes / 512);

/** Two chunks of the largest size that Node reads: those in which a message begins and ends. */
const edgeBytes = 131_072;

/** Memory that an unfinished message can take within the limits of `ws`, plus some control frames. */
const maxUnfinishedBytes = (maxPayloadBytes: number) =>
  2 * maxPayloadBytes +
  maxBufferedChunks(maxPayloadBytes) * chunkBytes +
  maxFragments(maxPayloadBytes) * slabBytes +
  edgeBytes;

/** Bytes that are read from one connection in one event loop turn. */
const turnBytes = 131_072;

/** Frames that a client may send while no session owns its WebSocket, yet or any more. */
const maxUnownedFrames = 64;

/** Tracks the data that arrives on one WebSocket, before `ws` reads it. */
export class Incoming implements Unfinished {
  /** Undefined until Engine.IO has created a transport for the WebSocket. */
  transport: Receiver | undefined = undefined;
  readonly #ws: WebSocket;
  readonly #receiving: Receiving;
  /** The connection's own scanner while a message is unfinished; otherwise the shared one is used. */
  #scanner: FrameScanner | undefined = undefined;
  #rate: ByteRate | undefined = undefined;
  #unpacedBytes = 0;
  #unownedFrames = 0;
  /** Whether the connection is held back. */
  #isPaused = false;
  /** Whether the connection has used up its share of this turn, or its byte rate. */
  #isThrottled = false;

  constructor(ws: WebSocket, receiving: Receiving) {
    this.#ws = ws;
    this.#receiving = receiving;
  }

  /** Starts with the first byte that `ws` reads. */
  track(tcp: Duplex): void {
    // Before the listener of `ws`, so that data is counted before it is parsed. Bound, because a closure with its
    // context takes twice the memory.
    tcp.prependListener("data", this.#read.bind(this));
  }

  /** Accounts for a chunk that `ws` is about to read. */
  #read(chunk: Buffer): void {
    const scanner = this.#scanner ?? this.#receiving.scanner;
    const frames = scanner.scan(chunk);
    if (!this.transport?.admits(frames)) this.#countUnowned(frames);
    if (!scanner.isIdle) this.#keep(scanner);
    else if (this.#scanner) this.release();
    this.#unpacedBytes += chunk.length;
    if (this.#unpacedBytes >= turnBytes) this.#throttle();
  }

  #keep(scanner: FrameScanner): void {
    if (!this.#scanner) this.#receiving.scanner = new FrameScanner();
    this.#scanner = scanner;
    this.#hold(scanner.unfinishedBytes);
  }

  /** Stops reading until {@link resume}. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#ws.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isThrottled) this.#ws.resume();
  }

  /** Charges the byte rate for the extra cost of handling what was read, expressed in bytes. */
  charge(bytes: number): void {
    this.#unpacedBytes += bytes;
  }

  /** Releases the memory of an unfinished message, which is complete now, or whose connection is gone. */
  release(): void {
    this.#scanner = undefined;
    this.#hold(0);
  }

  evict(): void {
    if (this.transport) this.transport.refuseUnfinished();
    else this.#ws.terminate();
  }

  #countUnowned(frames: number): void {
    this.#unownedFrames += frames;
    if (this.#unownedFrames > maxUnownedFrames) this.#ws.terminate();
  }

  #hold(bytes: number): void {
    const { memory, bounds } = this.#receiving;
    memory.hold(this, bytes);
    if (bytes > maxUnfinishedBytes(bounds.maxPayloadBytes)) this.evict();
  }

  /** Stops reading until the next turn, or until the byte rate allows more. */
  #throttle(): void {
    const now = performance.now();
    this.#rate ??= new ByteRate(this.#receiving.bounds, now);
    const waitMs = this.#rate.take(this.#unpacedBytes, now);
    this.#unpacedBytes = 0;
    this.#isThrottled = true;
    this.#ws.pause();
    const resume = () => {
      this.#isThrottled = false;
      if (!this.#isPaused) this.#ws.resume();
    };
    if (waitMs > 0) setTimeout(resume, waitMs);
    else setImmediate(resume);
  }
}
