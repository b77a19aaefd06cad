/** Values that are made once per key and event loop turn. */
export class TurnCache<Key, Value> {
  #values: Map<Key, Value> | undefined;

  /** The value of a key; `make` is called for the first request of this turn. */
  get(key: Key, make: () => Value): Value {
    const values = this.#values ?? this.#begin();
    const known = values.get(key);
    if (known !== undefined) return known;
    const value = make();
    values.set(key, value);
    return value;
  }

  #begin(): Map<Key, Value> {
    this.#values = new Map();
    setImmediate(() => {
      this.#values = undefined;
    });
    return this.#values;
  }
}
