import type { ErrorInfo } from "../errors.ts";
import type { RateLimiter } from "../limits/rate-limiter.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { RepeatLog } from "../ops/repeat-log.ts";
import type { Attempts } from "./attempts.ts";
import type { ClientSession } from "./member.ts";

/** The options of {@link Handshakes}. */
export interface HandshakesOptions {
  attempts: Attempts;
  rateLimiter: RateLimiter;
  metrics: Metrics;
  log: RepeatLog;
}

/** Checks the handshakes of clients with any namespace: limits their rate, counts and logs the refused ones. */
export class Handshakes {
  readonly #options: HandshakesOptions;

  constructor(options: HandshakesOptions) {
    this.#options = options;
  }

  /**
   * Decides whether a client may connect.
   *
   * @param client its public id and the namespace, for the log
   * @param check throws if the client may not connect
   */
  check<T>(
    session: ClientSession,
    client: { id: string; namespace: string },
    check: () => T | Promise<T>,
    accepted: (result: T) => void,
    refused: (error: ErrorInfo) => void,
  ): void {
    const { attempts, rateLimiter, metrics, log } = this.#options;
    void attempts.run(
      session,
      () => {
        // The first handshake is not counted, so that idle connections need no bucket.
        if (++session.handshakes > 1) rateLimiter.take(session, performance.now());
        return check();
      },
      accepted,
      (error) => {
        metrics.refusals.add([error.code]);
        const about = { address: session.address, code: error.code };
        log.write({ level: "info", message: "handshake refused", about, details: client });
        refused(error);
      },
    );
  }
}
