/** A promise, and the means to settle it. */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // A rejection that nobody waits for is not an error.
    this.promise.catch(() => {});
  }
}

const patienceMs = 30_000;

/** What was promised, or an error that names it when that takes longer than half a minute. */
export async function within<T>(what: string, promised: Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), patienceMs);
  });
  try {
    return await Promise.race([promised, timeout]);
  } finally {
    clearTimeout(late);
  }
}
