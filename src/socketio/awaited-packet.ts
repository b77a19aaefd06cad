import type { Session } from "../engineio/session.ts";
import type { Unfinished } from "../limits/inbound-memory.ts";

/** A packet whose attachments are still arriving. */
export class AwaitedPacket implements Unfinished {
  /** The packet without its attachments. */
  readonly head: string;
  /** The bytes received so far. */
  bytes: number;
  /** Its memory, including the attachments received so far. */
  heldBytes = 0;
  /** The number of attachments still to be skipped, because no handler accepts them. */
  skipped = 0;
  readonly #session: Session | undefined;

  constructor(head: string, session: Session | undefined) {
    // A copy: a slice would keep the larger string in memory.
    this.head = Buffer.from(head).toString();
    this.bytes = head.length;
    this.#session = session;
  }

  evict(): void {
    this.#session?.close("unfinished packet");
  }
}
