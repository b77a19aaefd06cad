/** A promise with the functions that settle it. */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // A rejection that nothing awaits is not an error.
    this.promise.catch(() => {});
  }
}

const patienceMs = 30_000;

/** Awaits a promise; rejects with an error that names it if that takes longer than 30 seconds. */
export async function within<T>(what: string, promised: Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`timed out waiting for ${what}`)), patienceMs);
  });
  try {
    return await Promise.race([promised, timeout]);
  } finally {
    clearTimeout(late);
  }
}
