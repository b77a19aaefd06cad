const pieceBytes = 65_536;

/**
 * The frames that a send queue has collected in this turn, as the last link of a chain. Queues that were sent the
 * same frames hold the same batch: the step from one to the next is remembered, and so are the bytes they make.
 */
export class FrameBatch {
  /** Of all frames together. */
  readonly size: number;
  readonly #before: FrameBatch | undefined;
  readonly #frame: Buffer;
  #nextFrame: Buffer | undefined;
  #next: FrameBatch | undefined;
  #pieces: Buffer[] | undefined;

  constructor(before: FrameBatch | undefined, frame: Buffer) {
    this.#before = before;
    this.#frame = frame;
    this.size = (before ? before.size : 0) + frame.length;
  }

  /** An empty batch, for send queues to begin with. */
  static empty(): FrameBatch {
    return new FrameBatch(undefined, Buffer.alloc(0));
  }

  /** This batch and one frame more; the same one for all who ask for the same in a row. */
  with(frame: Buffer): FrameBatch {
    if (this.#nextFrame === frame) return this.#next as FrameBatch;
    this.#nextFrame = frame;
    this.#next = new FrameBatch(this, frame);
    return this.#next;
  }

  /**
   * All frames, in pieces of at most 64 kB, made once however many queues hold this batch. A socket that is given one
   * piece at a time shows how much its client takes. A larger frame is a piece by itself: what `ws` writes of its own
   * accord comes between pieces, and must not come within a frame.
   */
  get pieces(): readonly Buffer[] {
    this.#pieces ??= this.#join();
    return this.#pieces;
  }

  #join(): Buffer[] {
    if (this.#before?.size === 0) return [this.#frame];
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
    for (let link: FrameBatch | undefined = this; link; link = link.#before) frames.push(link.#frame);
    return frames.reverse();
  }
}
