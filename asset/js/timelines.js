/** The longest a timeline grows, in lines; older ones are let go, so that an hour of messages costs no more than this. */
export const longestTimeline = 300;

/** The timeline that holds what came through every room, and what came through none. */
export const everything = null;

let count = 0;

/**
 * @typedef {object} Line
 * @property {number} key unique on this page
 * @property {string} [id] the message's, where it is one
 * @property {"said" | "quiet"} kind
 * @property {import("./words.js").Sentence} text
 * @property {number} at milliseconds since the epoch
 * @property {string} [userId] who said it
 * @property {boolean} [own]
 * @property {string[]} [rooms] those it came through
 */

/** A line that has its place in the order of lines. */
export const line = (fields) => ({ key: ++count, at: Date.now(), ...fields });

/** One timeline for each room, and one of everything. */
export class Timelines {
  #lines = new Map();

  /** @returns {Line[]} oldest first */
  of(room) {
    return this.#lines.get(room) ?? [];
  }

  /** Adds a line to the timelines of these rooms. */
  add(line, ...rooms) {
    for (const room of rooms) {
      const lines = this.of(room);
      lines.push(line);
      if (lines.length > longestTimeline) lines.splice(0, lines.length - longestTimeline);
      this.#lines.set(room, lines);
    }
  }

  drop(room) {
    this.#lines.delete(room);
  }

  /** Adds what came through a room to its timeline, and to that of everything unless a copy is there already. */
  hear(line) {
    this.add(line, line.rooms[0]);
    const last = this.of(everything).at(-1);
    // The copies of one message come one behind the other.
    if (last?.id === line.id) last.rooms = [...last.rooms, ...line.rooms];
    else this.add({ ...line }, everything);
  }
}
