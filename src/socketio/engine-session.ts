import type { Permissions } from "../auth/permissions.ts";
import type { DisconnectReason } from "../errors.ts";
import type { Bucket } from "../limits/rate-limiter.ts";
import type { Session } from "../namespaces/member.ts";
import type { Visitor } from "./gate.ts";

/** An Engine.IO session as the dispatcher sees it: one client, on any number of namespaces. */
export class EngineSession implements Session {
  bucket: Bucket | undefined;
  declare permissions?: Permissions;
  readonly #visitor: Visitor;
  readonly #close: (reason: DisconnectReason) => void;

  constructor(visitor: Visitor, close: (reason: DisconnectReason) => void) {
    this.#visitor = visitor;
    this.#close = close;
  }

  get address(): string {
    return this.#visitor.address;
  }

  get handshakes(): number {
    return this.#visitor.arrivals ?? 0;
  }

  set handshakes(count: number) {
    this.#visitor.arrivals = count;
  }

  close(reason: DisconnectReason): void {
    this.#close(reason);
  }
}
