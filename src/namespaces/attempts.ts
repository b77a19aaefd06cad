import { ClientError, type ErrorInfo, errorInfo, maxQuotedChars } from "../errors.ts";
import type { RepeatLog } from "../ops/repeat-log.ts";

/** A result that is not there yet. */
type Pending<T> = Untimed<T> | Promise<T | Untimed<T>>;
type Result<T> = T | Pending<T>;

/** Whether a result is not there yet. */
export const isPending = <T>(result: Result<T>): result is Pending<T> =>
  result instanceof Promise || result instanceof Untimed;

/** The options of {@link Attempts}. */
export interface AttemptsOptions {
  /** The time limit for answering an event or a handshake, in milliseconds. */
  handlerTimeoutMs: number;
  log: RepeatLog;
}

/** The client on whose behalf the server acts. */
interface Actor {
  readonly address: string;
}

/** The rest of an attempt, which has no time limit because it waits for the client to read. */
export class Untimed<T> {
  readonly result: Promise<T>;

  constructor(result: Promise<T>) {
    this.result = result;
    // Nothing awaits the rest of an attempt that has exceeded its time limit before.
    result.catch(() => {});
  }
}

/** Exempts a promise from the time limit; other values need no time. */
export const untimed = <T>(result: T | Promise<T>): T | Untimed<T> =>
  result instanceof Promise ? new Untimed(result) : result;

/**
 * Runs what clients ask for within a time limit. Here alone a thrown error becomes the error that the client
 * receives; faults of the server are logged.
 */
export class Attempts {
  readonly #options: AttemptsOptions;
  /** The number of attempts within their time limit. */
  #unfinished = 0;
  /** Called when there is none. */
  readonly #waiting: (() => void)[] = [];

  constructor(options: AttemptsOptions) {
    this.#options = options;
  }

  /** Resolves when every attempt that has a time limit has ended. */
  idle(): Promise<void> {
    if (this.#unfinished === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Runs an action, synchronously if it returns no promise. The result never rejects. */
  run<T>(
    actor: Actor,
    action: () => Result<T>,
    succeed: (result: T) => void = () => {},
    fail: (error: ErrorInfo) => void = () => {},
  ): void | Promise<void> {
    try {
      const result = action();
      if (isPending(result))
        return this.settle(actor, result)
          .then(succeed)
          .catch((thrown) => fail(this.errorOf(actor, thrown)));
      succeed(result);
    } catch (thrown) {
      fail(this.errorOf(actor, thrown));
    }
  }

  /** Resolves with a result that is not there yet, or rejects when its time is over. */
  settle<T>(actor: Actor, result: Pending<T>): Promise<T> {
    return result instanceof Untimed ? result.result : this.#withinTime(actor, result);
  }

  /** The error that the client receives for anything that was thrown. */
  errorOf({ address }: Actor, thrown: unknown): ErrorInfo {
    const error = errorInfo(thrown);
    // A ClientError with this code was logged where it was thrown.
    if (error.code !== "internal" || thrown instanceof ClientError) return error;
    const about = { address, fault: String(thrown).slice(0, maxQuotedChars) };
    this.#options.log.write({ level: "error", message: "a handler failed", about, details: { err: thrown } });
    return error;
  }

  #withinTime<T>({ address }: Actor, promised: Promise<T | Untimed<T>>): Promise<T> {
    const { handlerTimeoutMs, log } = this.#options;
    this.#unfinished++;
    // With Promise.race, each event would take four more promises.
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        log.write({ level: "warn", message: "a handler took too long", about: { address } });
        end(() => reject(new ClientError("timeout")));
      }, handlerTimeoutMs);
      let hasEnded = false;
      const end = (settle: () => void) => {
        if (hasEnded) return;
        hasEnded = true;
        clearTimeout(timer);
        settle();
        if (--this.#unfinished === 0) for (const done of this.#waiting.splice(0)) done();
      };
      promised.then(
        (value) => end(() => resolve(value instanceof Untimed ? value.result : value)),
        (error) => end(() => reject(error)),
      );
    });
  }
}
