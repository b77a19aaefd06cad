import { connect, type Socket } from "node:net";

/*
 * Clients that cost little, so that the server is what is measured: raw sockets that speak just enough HTTP,
 * WebSocket (RFC 6455), Engine.IO 4 and Socket.IO 5, and count frames by their first bytes.
 */

const [four, zero, two, three] = [52, 48, 50, 51];
const pong = textFrame("3");

/** A text frame as a client sends it, under the masking key 0. */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const header =
    payload.length < 126
      ? [0x81, 0x80 | payload.length]
      : [0x81, 0xfe, payload.length >> 8, payload.length & 0xff];
  return Buffer.concat([Buffer.from([...header, 0, 0, 0, 0]), payload]);
}

export class BenchClient {
  /** Events received. */
  events = 0;
  onEvent: (() => void) | undefined;
  onAck: (() => void) | undefined;
  readonly #socket: Socket;
  #onConnect: (() => void) | undefined;
  #upgraded = false;
  #skip = 0;
  #rest: Buffer | undefined;

  constructor(port: number, query: string) {
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setNoDelay();
    this.#socket.on("error", () => {});
    // What it answers to one read leaves in one write.
    this.#socket.on("data", (chunk) => {
      this.#socket.cork();
      this.#read(chunk);
      this.#socket.uncork();
    });
    this.#socket.write(
      `GET /socket.io/?EIO=4&transport=websocket&${query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: roomcast-bench\r\n` +
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
  }

  /** Resolves when it is connected to the namespace `/`. */
  connected(): Promise<void> {
    return new Promise((resolve) => {
      this.#onConnect = resolve;
    });
  }

  send(frame: Buffer): void {
    this.#socket.write(frame);
  }

  /** Reads no more. */
  stall(): void {
    this.#socket.pause();
  }

  end(): void {
    this.#socket.destroy();
  }

  #read(data: Buffer): void {
    let chunk = data;
    if (this.#rest) {
      chunk = Buffer.concat([this.#rest, data]);
      this.#rest = undefined;
    }
    let at = 0;
    if (!this.#upgraded) {
      const end = chunk.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#rest = chunk;
        return;
      }
      this.#upgraded = true;
      this.send(textFrame("40"));
      at = end + 4;
    }
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      const short = (chunk[at + 1] ?? 0) & 127;
      const header = short < 126 ? 2 : short === 126 ? 4 : 10;
      if (chunk.length - at < header + Math.min(short, 2)) {
        this.#rest = chunk.subarray(at);
        return;
      }
      const length =
        short < 126 ? short : header === 4 ? chunk.readUInt16BE(at + 2) : chunk.readUInt32BE(at + 6);
      this.#packet(chunk[at + header], length > 1 ? chunk[at + header + 1] : undefined);
      this.#skip = length;
      at += header;
    }
  }

  #packet(type: number | undefined, kind: number | undefined): void {
    if (type === two) this.send(pong);
    if (type !== four) return;
    if (kind === two) {
      this.events++;
      this.onEvent?.();
    } else if (kind === three) this.onAck?.();
    else if (kind === zero) this.#onConnect?.();
  }
}

/** Connects clients, so many at a time; resolves when all are on the namespace. */
export async function connectMany(port: number, queries: string[], atOnce = 50): Promise<BenchClient[]> {
  const clients: BenchClient[] = [];
  for (let at = 0; at < queries.length; at += atOnce) {
    const some = queries.slice(at, at + atOnce).map((query) => new BenchClient(port, query));
    await Promise.all(some.map((client) => client.connected()));
    clients.push(...some);
  }
  return clients;
}
