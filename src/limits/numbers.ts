/*
 * Numbers that are not settings, and the arithmetic of the limits. Nothing here uses sockets or clocks.
 */

/** The longest delay of a timer, in milliseconds. A timer with a longer delay fires at once. */
export const longestTimerMs = 2 ** 31 - 1;

/** Clock skew that is tolerated when a token's times are checked, in seconds. */
export const clockSkewSeconds = 5;

/** Event loop delay above which the server reports that it is not ready, in milliseconds. */
export const overloadDelayMs = 500;

/** Packets that a connection may send per second in addition to its accepted and refused events. */
export const sparePackets = 1_000;

/**
 * TCP connections needed for a number of sessions: a polling client sometimes has two, and pages and
 * operators need some as well.
 */
export const tcpConnections = (sessions: number): number => 2 * sessions + 100;

/** How long a client has to take a response, in milliseconds. The response to a poll must be taken sooner. */
export const answerTimeMs = (sendQueueAgeMs: number): number => Math.min(2 * sendQueueAgeMs, longestTimerMs);

/** Shortest interval between two log lines about the same thing and the same address, in milliseconds. */
export const logRepeatMs = 5_000;

/** Longest token that is examined at all, in characters. */
export const longestTokenChars = 8_192;

/** JSON may write one character as two surrogates, each of them escaped as six characters. */
const longestEscape = 12;

/** Characters that an event may need besides its text: a room of 128, its name, an ack id, options. */
const spareEventChars = 4_096;

/** Longest head of a packet with attachments, or handshake with the default `maxRooms`, in characters. */
export const longestHeadChars = 65_536;

/** A room of 128 characters, each a surrogate pair or escaped with a backslash, plus quotes and a comma. */
const longestRoomChars = 260;

/** Characters for the token and the name in a handshake. */
const spareHandshakeChars = 12_000;

/** The longest handshake that names `maxRooms` rooms, in characters. */
export function longestHandshakeChars(maxRooms: number): number {
  return Math.max(spareHandshakeChars + longestRoomChars * maxRooms, longestHeadChars);
}

/** The longest event with a text of `maxTextChars`, however the client escapes it, in characters. */
export function longestEventChars(maxTextChars: number): number {
  return Math.max(longestEscape * maxTextChars + spareEventChars, longestHeadChars);
}

/** Cost of parsing JSON other than strings, relative to a string of the same length. */
export const parseFactor = 8;

/** Bytes that a connection may send at once after being idle: one text per event, or a second's worth. */
export function burstBytes(limits: {
  bytesPerSecond: number;
  eventsBurst: number;
  maxTextChars: number;
}): number {
  return Math.max(limits.bytesPerSecond, limits.eventsBurst * limits.maxTextChars);
}

/** Counts per key. A key whose count drops to zero is removed. */
export class Counts {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  add(key: string): void {
    this.#counts.set(key, this.of(key) + 1);
  }

  remove(key: string): void {
    const left = this.of(key) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}

/** When each of `count` actions is due, in milliseconds after the first, to spread them over `overMs`. */
export function spread(count: number, overMs: number): number[] {
  return Array.from({ length: count }, (_, n) => (n * overMs) / count);
}

/** The length to which texts from clients are cut in log lines and error messages, in characters. */
export const maxQuotedChars = 128;
