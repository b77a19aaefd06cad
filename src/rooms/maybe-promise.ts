/**
 * Passes a value, or the result of a promise, to `next`. A value that is no promise is passed on
 * synchronously, so a store in memory costs no turn of the event loop.
 */
export function after<T, R>(value: T | Promise<T>, next: (value: T) => R): R | Promise<Awaited<R>> {
  return value instanceof Promise ? (value.then(next) as Promise<Awaited<R>>) : next(value);
}

/** Waits for the promises among the values; returns synchronously if there are none. */
export function all(values: readonly unknown[]): void | Promise<void> {
  const promises = values.filter((value) => value instanceof Promise);
  if (promises.length > 0) return Promise.all(promises).then(() => {});
}
