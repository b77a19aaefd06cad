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
  #joined: Buffer | undefined;

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
   * Writes all frames: in one buffer that is made once however many outboxes hold this batch, or, where that
   * would be a large copy, as they are.
   *
   * @returns false if the socket is to be waited for
   */
  writeTo(socket: Socket, done?: () => void): boolean {
    if (this.size <= longestJoinBytes) {
      if (!this.#joined) this.#joined = this.#join();
      return socket.write(this.#joined, done);
    }
    const frames: Buffer[] = [];
    for (let link: Batch | undefined = this; link; link = link.#before) frames.push(link.#frame);
    socket.cork();
    while (frames.length > 1) socket.write(frames.pop() as Buffer);
    const taken = socket.write(this.#frame, done);
    socket.uncork();
    return taken;
  }

  #join(): Buffer {
    if (this.#before?.size === 0) return this.#frame;
    const joined = Buffer.allocUnsafe(this.size);
    let end = this.size;
    for (let link: Batch | undefined = this; link; link = link.#before) {
      end -= link.#frame.length;
      link.#frame.copy(joined, end);
    }
    return joined;
  }
}
