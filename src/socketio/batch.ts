import type { Socket } from "node:net";

const longestJoinBytes = 65_536;

/**
 * The frames that an outbox has collected in this turn, as the last link of a chain. Outboxes that were sent the
 * same frames hold the same batch: the step from one to the next is remembered, and so are the bytes they make.
 */
export class Batch {
  /** Of all frames together. */
  readonly size: number;
  readonly #before: Batch | undefined;
  readonly #frame: Buffer;
  #nextFrame: Buffer | undefined;
  #next: Batch | undefined;
  #joined: Buffer[] | undefined;

  constructor(before: Batch | undefined, frame: Buffer) {
    this.#before = before;
    this.#frame = frame;
    this.size = (before ? before.size : 0) + frame.length;
  }

  /** An empty batch, for outboxes to begin with. */
  static empty(): Batch {
    return new Batch(undefined, Buffer.alloc(0));
  }

  /** This batch and one frame more; the same one for all who ask for the same in a row. */
  with(frame: Buffer): Batch {
    if (this.#nextFrame === frame) return this.#next as Batch;
    this.#nextFrame = frame;
    this.#next = new Batch(this, frame);
    return this.#next;
  }

  /**
   * Writes all frames, in as few buffers as are of a size to be copied, which are made once however many outboxes
   * hold this batch.
   *
   * @returns false if the socket is to be waited for
   */
  writeTo(socket: Socket, done?: () => void): boolean {
    if (!this.#joined) this.#joined = this.#join();
    const [first, ...rest] = this.#joined;
    if (rest.length === 0) return socket.write(first as Buffer, done);
    socket.cork();
    const last = rest.pop() as Buffer;
    for (const piece of [first as Buffer, ...rest]) socket.write(piece);
    const taken = socket.write(last, done);
    socket.uncork();
    return taken;
  }

  #join(): Buffer[] {
    if (this.#before?.size === 0) return [this.#frame];
    const pieces: Buffer[] = [];
    let frames: Buffer[] = [];
    let bytes = 0;
    const cut = () => pieces.push(frames.length === 1 ? (frames[0] as Buffer) : Buffer.concat(frames, bytes));
    for (const frame of this.#frames()) {
      if (bytes + frame.length > longestJoinBytes && bytes > 0) {
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
    for (let link: Batch | undefined = this; link; link = link.#before) frames.push(link.#frame);
    return frames.reverse();
  }
}
