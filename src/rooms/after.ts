/**
 * Continues with a value that may be a promise: at once where it is none, so that a store in memory costs no turn
 * of the event loop.
 */
export function after<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<Awaited<R>> {
  return value instanceof Promise ? (value.then(next) as Promise<Awaited<R>>) : next(value);
}

/** Waits for those values that are promises; at once where none is. */
export function all(values: readonly unknown[]): void | Promise<void> {
  const promises = values.filter((value) => value instanceof Promise);
  if (promises.length > 0) return Promise.all(promises).then(() => {});
}
