/** Overhead of a retained chunk beyond its own bytes: the Node and V8 objects around it, in bytes. */
export const chunkBytes = 256;

/** Node allocates small copies from slabs of this many bytes. One small fragment may keep a slab alive. */
export const slabBytes = 8_192;

/** The part of a frame that the scanner expects next. */
const [opcode, length, extendedLength, payload] = [0, 1, 2, 3] as const;

/**
 * Tracks a client's WebSocket frames across the chunks in which they arrive, and reads only the frame headers
 * (RFC 6455, 5.2). `ws` reports neither how much of an unfinished message it holds nor that empty fragments
 * arrived.
 */
export class FrameScanner {
  /** Memory that an unfinished message may take, in bytes: every chunk since it began is counted in full. */
  unfinishedBytes = 0;
  #expects: 0 | 1 | 2 | 3 = opcode;
  /** Remaining bytes of the extended length, or of the mask and the payload. */
  #remaining = 0;
  #length = 0;
  #isFragment = false;
  /** Whether a message has begun whose last fragment has not. */
  #isFragmented = false;

  /** Whether the scanner is between two messages, so that a new scanner could replace it. */
  get isIdle(): boolean {
    return this.#expects === opcode && !this.#isFragmented;
  }

  /**
   * Scans the next chunk.
   *
   * @returns the number of frames that begin in it
   */
  scan(chunk: Uint8Array): number {
    let frames = 0;
    let fragments = 0;
    let held = this.unfinishedBytes;
    for (let at = 0; at < chunk.length; ) {
      if (this.#expects === payload) {
        const taken = Math.min(this.#remaining, chunk.length - at);
        this.#remaining -= taken;
        at += taken;
      } else {
        if (this.#expects === opcode) frames++;
        this.#readHeader(chunk[at++] as number);
        if (this.#isSmallFragment()) fragments++;
      }
      if (this.#expects !== payload || this.#remaining > 0) continue;
      this.#expects = opcode;
      if (this.#isFragmented) continue;
      held = 0;
      fragments = 0;
    }
    this.unfinishedBytes = this.isIdle ? 0 : held + chunk.length + chunkBytes + fragments * slabBytes;
    return frames;
  }

  #isSmallFragment(): boolean {
    return this.#expects === payload && this.#isFragment && this.#remaining < slabBytes;
  }

  #readHeader(byte: number): void {
    if (this.#expects === opcode) {
      const isData = (byte & 0x0f) < 8;
      const isLast = (byte & 0x80) !== 0;
      this.#isFragment = isData && !isLast;
      if (isData) this.#isFragmented = !isLast;
      this.#expects = length;
    } else if (this.#expects === length) {
      const size = byte & 0x7f;
      // Client frames carry a mask of four bytes; `ws` refuses unmasked ones.
      this.#remaining = size < 126 ? size + 4 : size === 126 ? 2 : 8;
      this.#length = 0;
      this.#expects = size < 126 ? payload : extendedLength;
    } else {
      this.#length = this.#length * 256 + byte;
      if (--this.#remaining > 0) return;
      this.#remaining = this.#length + 4;
      this.#expects = payload;
    }
  }
}
