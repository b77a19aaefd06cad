/** What a chunk costs beside its bytes while it is kept: the objects of Node and V8 around it. */
export const chunkBytes = 256;

/** Node cuts small copies from slabs of this size; one small fragment may keep a slab alive. */
export const slabBytes = 8_192;

/** What the scanner expects next. */
const [opcode, length, extendedLength, payload] = [0, 1, 2, 3] as const;

/**
 * Follows a client's WebSocket frames through the chunks in which they arrive, reading nothing but their headers
 * (RFC 6455, 5.2). `ws` tells neither how much of an unfinished message it keeps nor that empty fragments arrived.
 */
export class FrameScanner {
  /** The memory that an unfinished message may take: each chunk since it began, whole. */
  unfinishedBytes = 0;
  #expects: 0 | 1 | 2 | 3 = opcode;
  /** Bytes of the extended length, or of mask and payload, that are still to come. */
  #left = 0;
  #length = 0;
  #isFragment = false;
  /** A message has begun and its last fragment has not. */
  #isFragmented = false;

  /** Between two messages: a scanner that has seen nothing could go on in its place. */
  get isIdle(): boolean {
    return this.#expects === opcode && !this.#isFragmented;
  }

  /** @returns the number of frames that began in this chunk */
  scan(chunk: Uint8Array): number {
    let frames = 0;
    let fragments = 0;
    let held = this.unfinishedBytes;
    for (let at = 0; at < chunk.length; ) {
      if (this.#expects === payload) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
      } else {
        if (this.#expects === opcode) frames++;
        this.#readHeader(chunk[at++] as number);
        if (this.#isSmallFragment()) fragments++;
      }
      if (this.#expects !== payload || this.#left > 0) continue;
      this.#expects = opcode;
      if (this.#isFragmented) continue;
      held = 0;
      fragments = 0;
    }
    this.unfinishedBytes = this.isIdle ? 0 : held + chunk.length + chunkBytes + fragments * slabBytes;
    return frames;
  }

  #isSmallFragment(): boolean {
    return this.#expects === payload && this.#isFragment && this.#left < slabBytes;
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
      // A client's frames are masked; `ws` refuses others.
      this.#left = size < 126 ? size + 4 : size === 126 ? 2 : 8;
      this.#length = 0;
      this.#expects = size < 126 ? payload : extendedLength;
    } else {
      this.#length = this.#length * 256 + byte;
      if (--this.#left > 0) return;
      this.#left = this.#length + 4;
      this.#expects = payload;
    }
  }
}
