/*
 * Numbers that are no settings, and the arithmetic of limits: nothing here knows of sockets or clocks.
 */

/** The longest that a timer can wait: beyond this it fires at once. */
export const longestTimerMs = 2 ** 31 - 1;

/** How far two clocks may differ, in seconds, when a token's times are judged. */
export const clockSkewSeconds = 5;

/** The delay of the event loop beyond which the server says that it is not ready for more, in milliseconds. */
export const overloadDelayMs = 500;

/** How many packets a second a connection may send beside its events, and those that are refused. */
export const sparePackets = 1_000;

/**
 * TCP connections for so many sessions: a client that polls has two at times, and pages and operators come
 * beside the clients.
 */
export const tcpConnections = (sessions: number): number => 2 * sessions + 100;

/** The time a client has to take an answer that is no answer to a poll, in milliseconds: more than a poller's. */
export const answerTimeMs = (sendQueueAgeMs: number): number => Math.min(2 * sendQueueAgeMs, longestTimerMs);

/** How often the same thing about the same address is logged, in milliseconds. */
export const logRepeatMs = 5_000;

/** The length of a token beyond which it is not looked at, in characters. */
export const longestTokenChars = 8_192;

/** JSON may write a character as two surrogates, each escaped in six. */
const longestEscape = 12;

/** What an event may have beside its text, in characters: a room of 128, its name, an ack id, options. */
const spareEventChars = 4_096;

/** The head of a packet with binary parts, and a handshake with the rooms of the default, in characters. */
export const longestHeadChars = 65_536;

/** A room of 128 characters, each a pair of surrogates or escaped with a backslash, in quotes and with a comma. */
const longestRoomChars = 260;

/** A handshake has a token and a name, too. */
const spareHandshakeChars = 12_000;

/** The longest handshake that names so many rooms, in characters. */
export function longestHandshakeChars(maxRooms: number): number {
  return Math.max(spareHandshakeChars + longestRoomChars * maxRooms, longestHeadChars);
}

/** The length that an event needs at most, however its client escapes it, in characters. */
export function longestEventChars(maxTextChars: number): number {
  return Math.max(longestEscape * maxTextChars + spareEventChars, longestHeadChars);
}

/** What JSON other than texts costs to parse, in times of a text of its length. */
export const parseFactor = 8;

/** What a connection may send at once after a silence, in bytes: as many texts as events, or a second's worth. */
export function burstBytes(limits: {
  bytesPerSecond: number;
  eventsBurst: number;
  maxTextChars: number;
}): number {
  return Math.max(limits.bytesPerSecond, limits.eventsBurst * limits.maxTextChars);
}

/** How many there are of each key; a key that has none is forgotten. */
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

/** When each of so many goodbyes is due, in milliseconds from the first, for them to be spread over a time. */
export function spread(count: number, overMs: number): number[] {
  return Array.from({ length: count }, (_, n) => (n * overMs) / count);
}
