/** The opcodes of WebSocket frames (RFC 6455, 5.2). */
export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Header fields of a frame, valid or not. */
interface Header {
  fin?: boolean;
  reserved?: number;
  masked?: boolean;
  /** The length that the header states; by default the length of the data. */
  length?: bigint;
}

/** A client's frame. Its masking key is zero, so that reports of sent bytes are readable. */
export function frame(opcode: number, content: Buffer | string = "", header: Header = {}): Buffer {
  const data = Buffer.from(content as string);
  const { fin = true, reserved = 0, masked = true, length = BigInt(data.length) } = header;
  const size = length < 126n ? Number(length) : length < 65_536n ? 126 : 127;
  const start = Buffer.alloc(size < 126 ? 2 : size === 126 ? 4 : 10);
  start[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  start[1] = (masked ? 0x80 : 0) | size;
  if (size === 126) start.writeUInt16BE(Number(length), 2);
  if (size === 127) start.writeBigUInt64BE(length, 2);
  return Buffer.concat([start, Buffer.alloc(masked ? 4 : 0), data]);
}

export const textFrame = (text: string): Buffer => frame(opcodes.text, text);

/** The frames of a message that is split at these offsets. */
export function fragments(opcode: number, data: Buffer, ...cuts: number[]): Buffer[] {
  const ends = [...cuts, data.length];
  return ends.map((end, n) =>
    frame(n ? opcodes.continuation : opcode, data.subarray(ends[n - 1] ?? 0, end), {
      fin: n === cuts.length,
    }),
  );
}

/** Receives the opcode, the range of the payload's kept bytes in the chunk, and the payload's length. */
type OnFrame = (opcode: number, chunk: Buffer, start: number, end: number, length: number) => void;

/** Reads a server's frames, which are neither masked nor fragmented, without copying their payloads. */
export class FrameReader {
  readonly #onFrame: OnFrame;
  readonly #keptBytes: number;
  #skip = 0;
  #rest: Buffer | undefined;

  /** @param keptBytes the most bytes to keep of each payload; the rest is skipped */
  constructor(onFrame: OnFrame, keptBytes = Number.POSITIVE_INFINITY) {
    this.#onFrame = onFrame;
    this.#keptBytes = keptBytes;
  }

  read(data: Buffer): void {
    const chunk = this.#rest ? Buffer.concat([this.#rest, data]) : data;
    this.#rest = undefined;
    for (let at = 0; at < chunk.length; ) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        at += skipped;
        continue;
      }
      const size = (chunk[at + 1] ?? 0) & 127;
      const start = at + (size < 126 ? 2 : size === 126 ? 4 : 10);
      const length =
        size < 126 || chunk.length < start
          ? size
          : size === 126
            ? chunk.readUInt16BE(at + 2)
            : chunk.readUInt32BE(at + 6);
      const end = start + Math.min(length, this.#keptBytes);
      if (chunk.length < end) {
        this.#rest = chunk.subarray(at);
        return;
      }
      this.#onFrame((chunk[at] as number) & 15, chunk, start, end, length);
      this.#skip = start + length - end;
      at = end;
    }
  }
}
