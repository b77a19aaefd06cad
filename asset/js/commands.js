import { everything } from "./timelines.js";

const takesRoom = ["join", "leave"];
const takesText = ["notice", "msg"];
const takesToken = ["auth"];

/** The commands of a namespace. */
export const commandsOf = (namespace) => [
  ...takesRoom,
  "notice",
  ...(namespace === "/chat" ? ["msg"] : []),
  ...takesToken,
  "bye",
];

/**
 * The event that a line of the composer stands for, as in the demo: a command, or a chat to the room in view
 * (to all of one's rooms in the timeline of everything).
 *
 * @returns {{ event: string, args: string[] }}
 */
export function parse(text, { namespace, view }) {
  const [, command = "", rest = ""] = text.match(/^(\S+)(?:\s(.*))?$/su) ?? [];
  if (commandsOf(namespace).includes(command)) {
    if ([...takesRoom, ...takesToken].includes(command)) return { event: command, args: [rest.trim()] };
    if (takesText.includes(command)) return { event: command, args: [rest] };
    if (!rest) return { event: command, args: [] };
  }
  return { event: "chat", args: view === everything ? [text] : [text, view] };
}

/**
 * What the Tab key would make of an unfinished line.
 *
 * @returns {string | undefined} the whole line, or nothing where there is nothing to complete
 */
export function complete(text, { namespace, rooms }) {
  if (!text) return undefined;
  const lines = commandsOf(namespace).flatMap((command) =>
    takesRoom.includes(command) && text.startsWith(`${command} `)
      ? rooms.map((room) => `${command} ${room}`)
      : command === "bye"
        ? command
        : `${command} `,
  );
  return lines.find((line) => line.startsWith(text) && line !== text);
}
