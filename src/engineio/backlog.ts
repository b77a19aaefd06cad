import type { Socket as TcpSocket } from "node:net";
import type { FrameBatch } from "./frame-batch.ts";

/** What remains to be written to a connection since the kernel refused a piece. */
export class Backlog {
  /** Number of `send` calls in the backlog. */
  sends: number;
  /** Size of the pieces that are not written yet, in bytes. */
  bytes: number;
  /** Size of the piece that was written last, in bytes. */
  lastBytes: number;
  #pieces: readonly Buffer[];
  /** Index of the next piece to write. */
  #at = 1;

  /** @param batch a batch whose first piece has been written */
  constructor({ pieces, size }: FrameBatch, sends: number) {
    this.lastBytes = pieces[0]?.length ?? 0;
    this.bytes = size - this.lastBytes;
    this.sends = sends;
    this.#pieces = pieces;
  }

  add({ pieces, size }: FrameBatch, sends: number): void {
    this.#pieces = [...this.#pieces.slice(this.#at), ...pieces];
    this.#at = 0;
    this.bytes += size;
    this.sends += sends;
  }

  /** Writes pieces until the kernel refuses one. @returns false if it did */
  writeTo(tcp: TcpSocket): boolean {
    while (this.#at < this.#pieces.length) {
      const piece = this.#pieces[this.#at++] as Buffer;
      this.bytes -= piece.length;
      this.lastBytes = piece.length;
      if (!writePiece(tcp, piece)) return false;
    }
    return true;
  }
}

/** Writes a batch. @returns what remains to be written; undefined if the kernel accepted everything */
export function writeBatch(tcp: TcpSocket, batch: FrameBatch, sends: number): Backlog | undefined {
  const { pieces } = batch;
  const isAccepted = writePiece(tcp, pieces[0] as Buffer);
  if (isAccepted && pieces.length === 1) return undefined;
  const backlog = new Backlog(batch, sends);
  return isAccepted && backlog.writeTo(tcp) ? undefined : backlog;
}

/** @returns false if the kernel refused the piece; Node's buffer being full does not mean that it did */
function writePiece(tcp: TcpSocket, piece: Buffer): boolean {
  return tcp.write(piece) || tcp.writableLength === 0;
}
