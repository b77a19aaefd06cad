/** How many events are kept; older ones are let go. */
export const longestWire = 500;

/**
 * @typedef {object} Entry an event on the wire
 * @property {number} key
 * @property {"in" | "out"} direction
 * @property {string} event
 * @property {unknown[]} args
 * @property {number} at milliseconds since the epoch
 * @property {unknown} [ack]
 * @property {number} [latencyMs] from the event to its ack
 */

/** Every event in and out, the newest last. */
export class Wire {
  /** @type {Entry[]} */
  entries = [];
  filter = "";
  #count = 0;

  /** @returns {Entry} */
  add(direction, event, args) {
    const entry = { key: ++this.#count, direction, event, args, at: Date.now() };
    this.entries.push(entry);
    if (this.entries.length > longestWire) this.entries.shift();
    return entry;
  }

  clear() {
    this.entries = [];
  }

  /** Those whose event, arguments or ack contain the filter. */
  get shown() {
    const wanted = this.filter.toLowerCase();
    if (!wanted) return this.entries;
    return this.entries.filter(({ event, args, ack }) =>
      JSON.stringify([event, args, ack]).toLowerCase().includes(wanted),
    );
  }
}

/** The event as a line of JavaScript. */
export const asEmit = ({ event, args }) =>
  `socket.emit(${[event, ...args].map((arg) => literal(arg)).join(", ")});`;

/** A value as JavaScript that means it and nothing else, wherever it is pasted. */
export const literal = (value) =>
  (JSON.stringify(value) ?? "undefined")
    .replaceAll("<", "\\u003c")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
