import { everything, roomOf, userOf } from "./views.js";

/**
 * The commands of the composer.
 *
 * @type {Record<string, { takes: "room" | "user" | "text" | "token" | "nothing", usage: string, help: string }>}
 */
export const commands = {
  join: { takes: "room", usage: "/join room", help: "join a room" },
  leave: { takes: "room", usage: "/leave [room]", help: "leave the given room, or the current one" },
  tell: { takes: "user", usage: "/tell user text", help: "send a text to one user" },
  notice: { takes: "text", usage: "/notice text", help: "send a text that only you receive" },
  msg: { takes: "text", usage: "/msg text", help: "send a text that is acked, but not sent to any room" },
  auth: { takes: "token", usage: "/auth token", help: "send a new token" },
  bye: { takes: "nothing", usage: "/bye", help: "leave all rooms and disconnect" },
  help: { takes: "nothing", usage: "/help", help: "show these commands" },
};

/** The names of the commands that a namespace accepts. */
export const commandsOf = (namespace) =>
  Object.keys(commands).filter((name) => name !== "msg" || namespace === "/chat");

/**
 * Reads a text from the composer: a command, or something to say in the view.
 *
 * @returns {{ event: string, args: unknown[] } | { help: true } | { complaint: string }}
 */
export function parse(text, { namespace, view }) {
  if (!text.startsWith("/") || text.startsWith("//")) return say(text.replace(/^\/\//, "/"), view);
  const [, name, rest] = text.match(/^\/(\S*)\s*(.*)$/su);
  if (name === "msg" && namespace !== "/chat")
    return { complaint: "/msg works only in the namespace /chat." };
  if (name === "help") return { help: true };
  if (Object.hasOwn(commands, name)) return readers[commands[name].takes](name, rest, view);
  return { complaint: `There is no command /${name}. See /help, or write //${name} to send it as text.` };
}

function say(text, view) {
  const user = userOf(view);
  if (user !== undefined) return { event: "tell", args: [user, text] };
  return { event: "chat", args: view === everything ? [text] : [text, roomOf(view)] };
}

const usage = (name) => ({ complaint: `Usage: ${commands[name].usage}` });

const readers = {
  room: (name, rest, view) => {
    const room = rest.trim() || (name === "leave" ? roomOf(view) : undefined);
    return room ? { event: name, args: [room] } : usage(name);
  },
  user: (name, rest) => {
    const [, quoted, plain, text] = rest.match(/^(?:"([^"]+)"|(\S+))\s+(.+)$/su) ?? [];
    return text ? { event: name, args: [quoted ?? plain, text] } : usage(name);
  },
  text: (name, rest) => (rest ? { event: name, args: [rest] } : usage(name)),
  token: (name, rest) => (rest.trim() ? { event: name, args: [rest.trim()] } : usage(name)),
  nothing: (name, rest) => (rest.trim() ? usage(name) : { event: name, args: [] }),
};

/**
 * What the Tab key makes of an unfinished command.
 *
 * @returns {string | undefined} the whole text, or undefined if there is nothing to complete
 */
export function complete(text, { namespace, rooms, users }) {
  if (!text.startsWith("/")) return undefined;
  const values = { room: rooms.map((room) => [room, room]), user: users.map((user) => [user, quoted(user)]) };
  const choices = commandsOf(namespace).flatMap((name) => {
    const { takes } = commands[name];
    const start = takes === "nothing" ? `/${name}` : `/${name} `;
    if (!text.startsWith(start)) return [[start, start]];
    return (values[takes] ?? []).map(([value, whole]) => [start + value, start + whole]);
  });
  const isMeant = ([typed, whole]) => whole !== text && (typed.startsWith(text) || whole.startsWith(text));
  return choices.find(isMeant)?.[1];
}

/** A user's name as an argument; a name with spaces needs quotes. */
const quoted = (user) => (/\s/.test(user) ? `"${user}" ` : `${user} `);
