/** The most events that are kept; older ones are dropped. */
export const longestWire = 500;

/** Shown instead of a token, which nobody may read over the user's shoulder. */
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
 * @property {boolean} [lost] whether no ack came
 * @property {boolean} [open] whether it is unfolded
 */

/** Every event in and out, the newest last. */
export class Wire {
  /** @type {WireEvent[]} */
  events = [];
  /** A text that the events shown contain. */
  filter = "";
  /** The kinds of events shown; all if empty. @type {Set<"in" | "out" | "error">} */
  kinds = new Set();
  /** The name of the events shown; all if empty. */
  name = "";
  /** The newest event shown; undefined while the list is not paused. */
  pausedAt;
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

  /** Freezes the list, or shows what has come since. */
  pause() {
    this.pausedAt = this.pausedAt === undefined ? this.#count : undefined;
  }

  /** Shows the events of this kind, or no longer. */
  toggle(kind) {
    if (!this.kinds.delete(kind)) this.kinds.add(kind);
  }

  /** The names of all events kept. */
  get names() {
    return [...new Set([this.name, ...this.events.map(({ event }) => event)])].filter(Boolean).sort();
  }

  /** The number of events that came since the pause. */
  get held() {
    return this.pausedAt === undefined ? 0 : this.#count - this.pausedAt;
  }

  /** The events that pass all filters. */
  get shown() {
    const wanted = this.filter.toLowerCase();
    return this.events.filter(
      (one) =>
        one.key <= (this.pausedAt ?? one.key) &&
        (!this.name || one.event === this.name) &&
        this.#isWantedKind(one) &&
        (!wanted || `${one.json}${JSON.stringify(one.ack)}`.toLowerCase().includes(wanted)),
    );
  }

  #isWantedKind(one) {
    const { kinds } = this;
    const directions = kinds.has("in") !== kinds.has("out");
    return (!directions || kinds.has(one.direction)) && (!kinds.has("error") || isError(one));
  }
}

/** Whether an event failed, or tells of a failure. */
export const isError = ({ direction, event, ack, lost }) =>
  Boolean(lost || ack?.error || (direction === "in" && event === "error"));

/** The event as a line of JavaScript. */
export const asEmit = ({ event, args }) => `socket.emit(${[event, ...args].map(literal).join(", ")});`;

const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** JSON that looks like what it means: without characters that change the direction of writing or end a line. */
export const plain = (value) =>
  (JSON.stringify(value) ?? "undefined").replace(
    /[\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/g,
    escaped,
  );

/** A value as JavaScript that is safe to paste anywhere, even into a page: it opens no tag. */
export const literal = (value) => plain(value).replaceAll("<", escaped);
