const pieceBytes = 65_536;

/**
 * The frames that a send queue has collected in this event loop turn, as the last node of a linked list.
 * Queues that were sent the same frames share one batch: each batch remembers the batch that follows it and
 * its joined bytes.
 */
export class FrameBatch {
  /** Total size of all frames, in bytes. */
  readonly size: number;
  readonly #previous: FrameBatch | undefined;
  readonly #frame: Buffer;
  #nextFrame: Buffer | undefined;
  #next: FrameBatch | undefined;
  #pieces: Buffer[] | undefined;

  constructor(previous: FrameBatch | undefined, frame: Buffer) {
    this.#previous = previous;
    this.#frame = frame;
    this.size = (previous ? previous.size : 0) + frame.length;
  }

  /** Creates an empty batch, from which all send queues start. */
  static empty(): FrameBatch {
    return new FrameBatch(undefined, Buffer.alloc(0));
  }

  /** This batch plus one frame. Consecutive calls with the same frame return the same batch. */
  with(frame: Buffer): FrameBatch {
    if (this.#nextFrame === frame) return this.#next as FrameBatch;
    this.#nextFrame = frame;
    this.#next = new FrameBatch(this, frame);
    return this.#next;
  }

  /**
   * All frames, in pieces of at most 64 kB, joined once for all queues that share this batch. Writing one
   * piece at a time shows how much the client reads. A larger frame is a piece by itself: `ws` may write
   * frames of its own between two pieces, but must never do so within a frame.
   */
  get pieces(): readonly Buffer[] {
    this.#pieces ??= this.#join();
    return this.#pieces;
  }

  #join(): Buffer[] {
    if (this.#previous?.size === 0) return [this.#frame];
    const pieces: Buffer[] = [];
    let frames: Buffer[] = [];
    let bytes = 0;
    const cut = () => {
      if (bytes > 0) pieces.push(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames, bytes));
    };
    for (const frame of this.#frames()) {
      if (bytes + frame.length > pieceBytes) {
        cut();
        frames = [];
        bytes = 0;
      }
      frames.push(frame);
      bytes += frame.length;
    }
    cut();
    return pieces;
  }

  #frames(): Buffer[] {
    const frames: Buffer[] = [];
    for (let link: FrameBatch | undefined = this; link; link = link.#previous) frames.push(link.#frame);
    return frames.reverse();
  }
}
