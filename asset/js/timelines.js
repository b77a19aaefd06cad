import { everything, roomView } from "./views.js";

/** The most lines that a timeline keeps. While its reader has scrolled up it keeps more. */
export const longestTimeline = 300;
const longestWhileReading = 2_000;

let count = 0;

/**
 * @typedef {object} Line
 * @property {number} key unique on this page
 * @property {string} [id] the message's id, if the line is a message
 * @property {string | null} [offset] the message's offset, if the server keeps it
 * @property {string} [topic] lines with the same topic that follow each other are one line in "Everything"
 * @property {"said" | "quiet"} kind
 * @property {import("./words.js").Sentence} text
 * @property {unknown} [data] of a `publish` message
 * @property {number} at milliseconds since the epoch
 * @property {string} [userId] the author
 * @property {boolean} [own]
 * @property {string[]} [rooms] the rooms it came through
 * @property {string} [mark] "direct", "whisper" or "transient"
 */

/** Creates a line with a key of its own. */
export const line = (fields) => ({ key: ++count, at: Date.now(), ...fields });

/** One timeline for each view. */
export class Timelines {
  /** The view whose reader has scrolled up, so that none of its lines may go. */
  held;
  #lines = new Map();
  /** The views whose oldest lines have been dropped. */
  #cut = new Set();

  /** @returns {Line[]} oldest first */
  of(view) {
    return this.#lines.get(view) ?? [];
  }

  /** Adds a line to the end of these timelines. */
  add(line, ...views) {
    for (const view of views) this.#insert(view, line);
  }

  /**
   * Adds a line of a room to its timeline and to "Everything", which shows the copies of one message once.
   *
   * @param replayed whether it is older than lines that are there, and goes before them
   */
  addMessage(line, replayed = false) {
    const [room] = line.rooms;
    const known = line.id !== undefined && this.of(roomView(room)).some(({ id }) => id === line.id);
    if (known) return;
    this.#insert(roomView(room), line, replayed);
    const copy = this.#copyOf(line);
    if (copy) copy.rooms = [...new Set([...copy.rooms, room])];
    else this.#insert(everything, { ...line }, replayed);
  }

  /** The offset of the oldest message of a view that the server may still keep. */
  oldest(view) {
    return this.of(view).find(({ offset }) => offset)?.offset;
  }

  /** Whether the oldest lines of a view have been dropped. */
  isCut(view) {
    return this.#cut.has(view);
  }

  /** Adds lines before all others of a view. */
  prepend(view, lines) {
    this.#cut.delete(view);
    this.#lines.set(view, [...lines, ...this.of(view)]);
  }

  /** Adds a line after the one with this key, or at the start if that one is gone. */
  insertAfter(view, key, line) {
    const lines = this.of(view);
    lines.splice(lines.findIndex((other) => other.key === key) + 1, 0, line);
  }

  drop(view) {
    this.#lines.delete(view);
    this.#cut.delete(view);
  }

  #insert(view, line, replayed = false) {
    const lines = this.of(view);
    // Ids sort by time.
    const index = replayed ? lines.findLastIndex(({ id }) => id < line.id) + 1 : lines.length;
    lines.splice(index, 0, line);
    const longest = view === this.held ? longestWhileReading : longestTimeline;
    if (lines.length > longest) {
      lines.splice(0, lines.length - longest);
      this.#cut.add(view);
    }
    this.#lines.set(view, lines);
  }

  #copyOf({ id, topic }) {
    const lines = this.of(everything);
    if (id !== undefined) return lines.findLast((other) => other.id === id);
    return topic !== undefined && lines.at(-1)?.topic === topic ? lines.at(-1) : undefined;
  }
}
