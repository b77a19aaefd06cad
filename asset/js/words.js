/** Messages, times and sizes as a person reads them. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export const time = (at) => clock.format(at);

const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A time, with its day where that is not today. */
export const moment = (at) =>
  new Date(at).toDateString() === new Date().toDateString() ? time(at) : calendar.format(at);

/** "1 member", "3 members", nothing while it is not known. */
export const members = (count) => (count === undefined ? "" : `${count} member${count === 1 ? "" : "s"}`);

export const size = (bytes) => (bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`);

/** What a message tells of its room's members: one "joined", one "left", or nothing. */
export function effect({ state, text, userId, room }) {
  if (state === "notice") return "left";
  if (state === "state") return text === `<= ${userId} join ${room}` ? "joined" : "left";
  return undefined;
}

/**
 * A sentence in parts: plain strings, and the names in it, whose direction of writing must not touch the rest.
 *
 * @typedef {(string | { name: string })[]} Sentence
 */

/** Names with commas between them. @returns {Sentence} */
export const list = (names) => names.flatMap((name, index) => [...(index ? [", "] : []), { name }]);

/** A message as a line of the timeline. What was said stands without the arrow it travels with. @returns {Sentence} */
export function sentence(message) {
  const { state, text, userId, room, rooms } = message;
  const who = { name: userId };
  if (state === "normal") return [text.replace(/^<= /, "")];
  if (text === "connected!")
    return ["Connected as ", who, ...(rooms.length ? [", in ", ...list(rooms)] : [])];
  if (text === "disconnected!") return [who, " disconnected"];
  if (effect(message) === "joined") return [who, " joined ", { name: room }];
  return text === `<= ${userId} leaved` ? [who, " said bye"] : [who, " left ", { name: room }];
}

/** Why a connection ended, by the reason that socket.io-client gives. */
export const ending = (reason) =>
  ({
    "io server disconnect": "You said bye.",
    "io client disconnect": "You disconnected.",
    "transport close": "The connection was closed.",
    "transport error": "The connection was lost.",
    "ping timeout": "The server stopped responding.",
    token_expired: "Your token has expired, and no new one came.",
  })[reason] ?? reason;

/**
 * What to do about a refusal that a token would mend, by its code.
 *
 * @returns {string | undefined} nothing for any other
 */
export const advice = (code, gaveToken) =>
  ({
    unauthorized: gaveToken ? "Your token is not valid. Enter another one." : "Enter your token below.",
    token_expired: "Give a new one below.",
    forbidden: "Choose another room, or give a token that allows this one.",
  })[code];
