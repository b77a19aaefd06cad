import type { Duplex } from "node:stream";
import { type ServerOptions, type WebSocket, WebSocketServer } from "ws";
import { ByteRate, type ByteRateBounds } from "../limits/byte-rate.ts";
import type { InboundMemory, Unfinished } from "../limits/inbound-memory.ts";
import { chunkBytes, FrameScanner, slabBytes } from "./frame-scanner.ts";

/** What a client may send through one WebSocket, in bytes. */
export interface ReceiveBounds extends ByteRateBounds {
  maxPayloadBytes: number;
}

/** What all WebSockets of a server share. */
interface Receiving {
  memory: InboundMemory;
  bounds: ReceiveBounds;
  /** Follows those that are between two messages, which are nearly all. */
  scanner: FrameScanner;
}

/** What takes up a WebSocket: the transport of a session, or one that only asks to become it. */
interface Receiver {
  /** @returns false where it is nobody's transport, any more or yet */
  admits(frames: number): boolean;
  /** Its client sends a message in too many parts, or too much of one. */
  refuseUnfinished(): void;
  /** The client has taken what the kernel had refused. */
  drained(): void;
  closed(): void;
}

/** Fragments of one message: some clients send a large message in pieces of 4 kB. */
export const maxFragments = (maxPayloadBytes: number) => Math.max(64, Math.ceil(maxPayloadBytes / 4_096));

/** Chunks of one frame: no network cuts a large message into segments smaller than 512 bytes. */
export const maxBufferedChunks = (maxPayloadBytes: number) => 64 + Math.ceil(maxPayloadBytes / 512);

/** Two chunks as large as Node reads them: that in which a message began, and that in which it ends. */
const edgeBytes = 131_072;

/** What one unfinished message may take with all that `ws` admits, and with some control frames in between. */
const maxUnfinishedBytes = (maxPayloadBytes: number) =>
  2 * maxPayloadBytes +
  maxBufferedChunks(maxPayloadBytes) * chunkBytes +
  maxFragments(maxPayloadBytes) * slabBytes +
  edgeBytes;

/** How much is read of one connection before others have their turn. */
const turnBytes = 131_072;

/** Frames that a WebSocket may send which no session has taken up, or any longer. */
const spareFrames = 64;

/** What arrives through one WebSocket, followed before `ws` reads it. */
export class Incoming implements Unfinished {
  /** Undefined until the WebSocket is a transport. */
  transport: Receiver | undefined = undefined;
  readonly #ws: WebSocket;
  readonly #receiving: Receiving;
  /** Of its own while a message is unfinished. */
  #scanner: FrameScanner | undefined = undefined;
  #rate: ByteRate | undefined = undefined;
  #unpacedBytes = 0;
  #unownedFrames = 0;
  /** Its connection is held back. */
  #isPaused = false;
  /** It has used up its turn, or its rate. */
  #isResting = false;

  constructor(ws: WebSocket, receiving: Receiving) {
    this.#ws = ws;
    this.#receiving = receiving;
  }

  read(chunk: Buffer): void {
    const scanner = this.#scanner ?? this.#receiving.scanner;
    const frames = scanner.scan(chunk);
    if (!this.transport?.admits(frames)) this.#countUnowned(frames);
    if (!scanner.isIdle) this.#keep(scanner);
    else if (this.#scanner) this.release();
    this.#unpacedBytes += chunk.length;
    if (this.#unpacedBytes >= turnBytes) this.#rest();
  }

  #keep(scanner: FrameScanner): void {
    if (!this.#scanner) this.#receiving.scanner = new FrameScanner();
    this.#scanner = scanner;
    this.#hold(scanner.unfinishedBytes);
  }

  /** Reads no more until {@link resume}. */
  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#ws.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (!this.#isResting) this.#ws.resume();
  }

  /** What was read has cost as much as so many bytes more. */
  charge(bytes: number): void {
    this.#unpacedBytes += bytes;
  }

  /** Nothing is unfinished any more, or the connection is gone. */
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
    if (this.#unownedFrames > spareFrames) this.#ws.terminate();
  }

  #hold(bytes: number): void {
    const { memory, bounds } = this.#receiving;
    memory.hold(this, bytes);
    if (bytes > maxUnfinishedBytes(bounds.maxPayloadBytes)) this.evict();
  }

  /** Reads no more in this turn, or until the rate allows it. */
  #rest(): void {
    const now = performance.now();
    this.#rate ??= new ByteRate(this.#receiving.bounds, now);
    const waitMs = this.#rate.take(this.#unpacedBytes, now);
    this.#unpacedBytes = 0;
    this.#isResting = true;
    this.#ws.pause();
    const resume = () => {
      this.#isResting = false;
      if (!this.#isPaused) this.#ws.resume();
    };
    if (waitMs > 0) setTimeout(resume, waitMs);
    else setImmediate(resume);
  }
}

const incoming = Symbol("incoming");

type Followed = { [incoming]: Incoming };

/** What arrives through a WebSocket of {@link boundedWebSocketServer}, or a connection under one. */
export const incomingOf = (socket: WebSocket | Duplex): Incoming => (socket as object as Followed)[incoming];

/** The server class of `ws` with bounds on what a half-received message may take, as Engine.IO's `wsEngine`. */
export function boundedWebSocketServer(
  receiving: Receiving,
): new (
  options: ServerOptions,
) => WebSocketServer {
  const { maxPayloadBytes } = receiving.bounds;
  const parts = {
    maxFragments: maxFragments(maxPayloadBytes),
    maxBufferedChunks: maxBufferedChunks(maxPayloadBytes),
  };
  return class extends WebSocketServer {
    constructor(options: ServerOptions) {
      super({ ...options, ...parts });
    }

    override handleUpgrade(
      ...[request, tcp, head, done]: Parameters<WebSocketServer["handleUpgrade"]>
    ): void {
      super.handleUpgrade(request, tcp, head, (ws, asked) => {
        follow(ws, tcp, receiving);
        done(ws, asked);
      });
    }
  };
}

/** Nothing was read yet, so that the scanner begins where `ws` does. */
function follow(ws: WebSocket, tcp: Duplex, receiving: Receiving): void {
  const arriving = new Incoming(ws, receiving);
  (tcp as object as Followed)[incoming] = arriving;
  (ws as object as Followed)[incoming] = arriving;
  // Before `ws`: what is too much is counted before it is read.
  tcp.prependListener("data", read);
  tcp.on("drain", drained);
  ws.on("close", closed);
}

// All connections share these few listeners, which find what is arriving on what they are called on.

function read(this: Duplex, chunk: Buffer): void {
  incomingOf(this).read(chunk);
}

function drained(this: Duplex): void {
  incomingOf(this).transport?.drained();
}

function closed(this: WebSocket): void {
  incomingOf(this).release();
  incomingOf(this).transport?.closed();
}
