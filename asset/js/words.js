/** Messages, times and sizes as a person reads them. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const minute = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const time = (at) => clock.format(at);
export const shortTime = (at) => minute.format(at);
export const fullTime = (at) => calendar.format(at);

/** A time, with its day unless that is today. */
export const moment = (at) =>
  new Date(at).toDateString() === new Date().toDateString() ? time(at) : calendar.format(at);

/** "1 member", "3 members". */
export const counted = (count, noun) => `${count.toLocaleString()} ${noun}${count === 1 ? "" : "s"}`;

export const size = (bytes) => (bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`);

/**
 * A sentence in parts: plain strings, and names, whose direction of writing must not affect the rest.
 *
 * @typedef {(string | { name: string })[]} Sentence
 */

/** Names with commas between them. @returns {Sentence} */
export const list = (names) => names.flatMap((name, index) => [...(index ? [", "] : []), { name }]);

const sentences = {
  // On the wire, the text of a chat starts with "<= ".
  chat: ({ text }) => [text.slice(3)],
  connected: ({ userId, rooms }) => [
    "Connected as ",
    { name: userId },
    ...(rooms.length ? [", in ", ...list(rooms)] : []),
  ],
  join: ({ userId, room }) => [{ name: userId }, " joined ", { name: room }],
  leave: ({ userId, room }) => [{ name: userId }, " left ", { name: room }],
  bye: ({ userId }) => [{ name: userId }, " said bye"],
  disconnected: ({ userId }) => [{ name: userId }, " disconnected"],
};

/** A message as a line of the timeline. @returns {Sentence} */
export const sentence = (message) => sentences[message.type]?.(message) ?? [message.text];

/** What a replay has proved, after a reconnect. @returns {Sentence} */
export function verdict({ lost, missed }) {
  if (lost) return ["Some messages may be lost"];
  return [missed ? `Caught up, ${counted(missed, "message")}` : "Caught up, nothing missed"];
}

/** Why a connection ended, by the reason that socket.io-client gives, or "bye". */
export const ending = (reason) =>
  ({
    bye: "You said bye.",
    "io server disconnect": "The server ended the connection.",
    "io client disconnect": "You disconnected.",
    "transport close": "The connection was closed.",
    "transport error": "The connection was lost.",
    "ping timeout": "The server stopped responding.",
    token_expired: "Your token has expired and was not renewed.",
  })[reason] ?? reason;

/**
 * What to do about a refusal that another token would prevent, by its code.
 *
 * @returns {string | undefined} undefined for any other refusal
 */
export const advice = (code, gaveToken) =>
  ({
    unauthorized: gaveToken ? "Your token is not valid. Enter another one." : "Enter your token below.",
    token_expired: "Enter a new one below.",
    forbidden: "Choose another room, or enter a token that allows this one.",
  })[code];
