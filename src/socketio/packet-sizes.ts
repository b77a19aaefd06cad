/** JSON may write one character as two surrogates, each of them escaped as six characters. */
const longestEscape = 12;

/** Characters that an event may need besides its text: a room of 128, its name, an ack id, options. */
const spareEventChars = 4_096;

/** Longest head of a packet with attachments, in characters; every handshake may be as long. */
export const longestHeadChars = 65_536;

/** A room of 128 characters, each a surrogate pair or escaped with a backslash, plus quotes and a comma. */
const longestRoomChars = 260;

/** An offset of a room, besides the room. */
const longestOffsetChars = 60;

/** Characters for the token and the name in a handshake. */
const spareHandshakeChars = 12_000;

/** The longest handshake that names `maxRooms` rooms, and an offset for each, in characters. */
export function longestHandshakeChars(maxRooms: number): number {
  const perRoom = 2 * longestRoomChars + longestOffsetChars;
  return Math.max(spareHandshakeChars + perRoom * maxRooms, longestHeadChars);
}

/** The longest event with a text of `maxTextChars`, however the client escapes it, in characters. */
export function longestEventChars(maxTextChars: number): number {
  return Math.max(longestEscape * maxTextChars + spareEventChars, longestHeadChars);
}
