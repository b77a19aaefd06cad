/** A promise, and the means to keep it. */
export class Deferred<T = void> {
  readonly promise: Promise<T>;
  resolve!: (value: T) => void;
  reject!: (error: Error) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Whether anybody waits for it is no concern of who breaks it.
    this.promise.catch(() => {});
  }
}

/** The longest that anything may take, so that a soak ends with a sentence instead of never. */
const patienceMs = 30_000;

/** What was promised, or an error that names it when that takes too long. */
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
