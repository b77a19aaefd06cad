/** If packets are short, this many of one chunk are handled before the pacer checks what they have caused. */
const maxPackets = 8;
const maxChars = 2_048;

/** The packets of one connection that are handled in the same tick, and the counters of the pacer before them. */
export class PacketBatch<P> {
  /** The connection whose packets are being handled; undefined between two batches. */
  connection: P | undefined = undefined;
  /** Whether packets were added after the end of the batch was scheduled. */
  hasGrown = false;
  workBytesBefore = 0;
  messageBytesBefore = 0;
  #packets = 0;
  #chars = 0;

  begin(connection: P, workBytes: number, messageBytes: number): void {
    this.connection = connection;
    this.workBytesBefore = workBytes;
    this.messageBytesBefore = messageBytes;
    this.hasGrown = false;
    this.#packets = 0;
    this.#chars = 0;
  }

  /** Whether another packet may be handled together with those before it. */
  fits(connection: P, chars: number): boolean {
    if (this.connection !== connection || this.#packets >= maxPackets) return false;
    return this.#chars + chars <= maxChars;
  }

  add(chars: number): void {
    this.hasGrown = this.#packets > 0;
    this.#packets++;
    this.#chars += chars;
  }
}
