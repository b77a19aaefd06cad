/** Messages, times and sizes as a person reads them. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const units = new TextEncoder();

export const time = (at) => clock.format(at);

/** Members as a number of them: "1 member", "3 members", nothing while it is not known. */
export const members = (count) => (count === undefined ? "" : `${count} member${count === 1 ? "" : "s"}`);

/** Size of a value as JSON in UTF-8, which is what travels. */
export function size(value) {
  const bytes = units.encode(JSON.stringify(value) ?? "").length;
  return bytes < 1000 ? `${bytes} B` : `${(bytes / 1000).toFixed(1)} kB`;
}

/** What a message does to its room: "joined", "left", "lost", or nothing. */
export function change({ state, text, userId, room }) {
  if (state === "notice" && text === "disconnected!") return "lost";
  if (state !== "state") return undefined;
  if (text === `<= ${userId} join ${room}`) return "joined";
  return "left";
}

/** A message as a line of the timeline. What was said stands without the arrow it travels with. */
export function sentence(message) {
  const { state, text, userId, room, rooms } = message;
  if (state === "normal") return text.replace(/^<= /, "");
  if (text === "connected!") return `Connected as ${userId}${rooms.length ? `, in ${rooms.join(", ")}` : ""}`;
  if (text === "disconnected!") return `${userId} lost the connection`;
  if (change(message) === "joined") return `${userId} joined ${room}`;
  return text === `<= ${userId} leaved` ? `${userId} said bye` : `${userId} left ${room}`;
}

/** Why a connection ended, by the reason that socket.io-client gives. */
export const ending = (reason) =>
  ({
    "io server disconnect": "You said bye.",
    "io client disconnect": "You disconnected.",
    "transport close": "The connection was closed.",
    "transport error": "The connection broke.",
    "ping timeout": "The server fell silent.",
  })[reason] ?? reason;
