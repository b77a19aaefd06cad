/**
 * Passes a value, or the result of a promise, to `next`. A value that is not a promise is passed on
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

/** Takes a step for each item, one after the other; synchronously as long as no step returns a promise. */
export function inOrder<T>(
  items: readonly T[],
  step: (item: T) => void | Promise<void>,
): void | Promise<void> {
  for (const [index, item] of items.entries()) {
    const done = step(item);
    if (done) return done.then(() => inOrder(items.slice(index + 1), step));
  }
}
