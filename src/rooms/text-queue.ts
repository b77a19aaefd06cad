const leastChunkBytes = 512;
const mostChunkBytes = 1_048_576;

/** Memory of a text beyond its bytes: its end and its time. */
const textOverheadBytes = 16;

/** Part of a queue, with room for several texts. */
class Chunk {
  readonly memory: Buffer;
  /** Where each text ends. */
  readonly ends: number[] = [];
  /** When each text was added. */
  readonly times: number[] = [];

  constructor(size: number) {
    this.memory = Buffer.allocUnsafeSlow(size);
  }

  get used(): number {
    return this.ends.at(-1) ?? 0;
  }

  get bytes(): number {
    return this.memory.length + textOverheadBytes * this.ends.length;
  }

  startOf(index: number): number {
    return index === 0 ? 0 : (this.ends[index - 1] as number);
  }

  write(text: string, bytes: number, at: number): void {
    const end = this.used + bytes;
    this.memory.write(text, this.used, bytes === text.length ? "latin1" : "utf8");
    this.ends.push(end);
    this.times.push(at);
  }
}

/**
 * A queue of texts that are kept for minutes. They are kept as UTF-8 outside the heap of V8, whose garbage collector
 * would otherwise copy each of them twice.
 */
export class TextQueue {
  size = 0;
  /** Its memory, in bytes. */
  bytes = 0;
  readonly #chunks: Chunk[] = [];
  /** The index of the oldest text in the first chunk. */
  #first = 0;

  /** When the oldest text was added. */
  get oldestAt(): number | undefined {
    return this.#chunks[0]?.times[this.#first];
  }

  push(text: string, at: number): void {
    const bytes = Buffer.byteLength(text);
    let chunk = this.#chunks.at(-1);
    if (!chunk || chunk.used + bytes > chunk.memory.length) {
      chunk = new Chunk(chunkSize(bytes, this.bytes));
      this.#chunks.push(chunk);
      this.bytes += chunk.bytes;
    }
    chunk.write(text, bytes, at);
    this.bytes += textOverheadBytes;
    this.size++;
  }

  /** Removes the oldest text. */
  shift(): void {
    const [chunk] = this.#chunks as [Chunk];
    this.size--;
    if (++this.#first < chunk.ends.length) return;
    this.#first = 0;
    this.#chunks.shift();
    this.bytes -= chunk.bytes;
  }

  /** The text at an index, from the oldest on. */
  at(index: number): string {
    const { chunk, at } = this.#locate(index);
    return chunk.memory.toString("utf8", chunk.startOf(at), chunk.ends[at]);
  }

  /** The size of the text at an index, in bytes. */
  bytesAt(index: number): number {
    const { chunk, at } = this.#locate(index);
    return (chunk.ends[at] as number) - chunk.startOf(at);
  }

  #locate(index: number): { chunk: Chunk; at: number } {
    let at = this.#first + index;
    for (const chunk of this.#chunks) {
      if (at < chunk.ends.length) return { chunk, at };
      at -= chunk.ends.length;
    }
    throw new RangeError(`no text at ${index}`);
  }
}

/** A chunk takes about a quarter of the queue: then there are few chunks, and little of them is unused. */
function chunkSize(textBytes: number, queueBytes: number): number {
  const wanted = Math.min(Math.max(queueBytes / 4, leastChunkBytes), mostChunkBytes);
  return Math.max(2 ** Math.ceil(Math.log2(wanted)), textBytes);
}
