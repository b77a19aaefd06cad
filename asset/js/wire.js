/** How many events are kept; older ones are let go. */
export const longestWire = 500;

/** What stands for a token, which nobody is to read over one's shoulder. */
const hidden = "(hidden)";

const utf8 = new TextEncoder();

/**
 * @typedef {object} WireEvent an event on the wire
 * @property {number} key
 * @property {"in" | "out"} direction
 * @property {string} event
 * @property {unknown[]} args
 * @property {string} json the event and its arguments
 * @property {number} bytes of that JSON in UTF-8, which is what travels
 * @property {number} at milliseconds since the epoch
 * @property {unknown} [ack]
 * @property {number} [latencyMs] from the event to its ack
 * @property {boolean} [lost] no ack came
 */

/** Every event in and out, the newest last. */
export class Wire {
  /** @type {WireEvent[]} */
  events = [];
  filter = "";
  #count = 0;

  /** @returns {WireEvent} */
  add(direction, event, args) {
    const json = JSON.stringify([event, ...args]);
    const bytes = utf8.encode(json).length;
    const added = { key: ++this.#count, direction, event, args, json, bytes, at: Date.now() };
    if (event === "auth") Object.assign(added, { args: [hidden], json: JSON.stringify([event, hidden]) });
    this.events.push(added);
    if (this.events.length > longestWire) this.events.shift();
    return added;
  }

  clear() {
    this.events = [];
  }

  /** Those whose event, arguments or ack contain the filter. */
  get shown() {
    const wanted = this.filter.toLowerCase();
    if (!wanted) return this.events;
    return this.events.filter(({ json, ack }) =>
      `${json}${JSON.stringify(ack)}`.toLowerCase().includes(wanted),
    );
  }
}

/** The event as a line of JavaScript. */
export const asEmit = ({ event, args }) => `socket.emit(${[event, ...args].map(literal).join(", ")});`;

/**
 * A value as JavaScript that means it and nothing else, and looks like what it means: without the characters
 * that turn the direction of writing, end a line, or open a tag.
 */
export const literal = (value) =>
  (JSON.stringify(value) ?? "undefined").replace(
    /[<\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
