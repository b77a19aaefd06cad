import { settingRows } from "./read.ts";

const width = Math.max(...settingRows.map(({ flag }) => flag.length)) + 5;
const margin = " ".repeat(width + 2);

/** The text that `--help` prints. */
export function help(): string {
  return [
    "roomcast: a ready-to-run room server for Socket.IO clients",
    "",
    "Usage: roomcast [settings]",
    "",
    "Each setting is a flag or an environment variable: --ping-interval 9000 or PING_INTERVAL=9000.",
    "If both are given, the flag wins.",
    "",
    ...settingRows.flatMap(({ flag, description, expected, default: standard }) => [
      row(`--${flag}`, `${description}:`),
      ...folded(`${expected}${standard === "none" ? "" : ` (default ${standard})`}`).map(
        (line) => margin + line,
      ),
    ]),
    row("--help", "Print this and exit"),
    row("--version", "Print the version and exit"),
  ].join("\n");
}

const row = (flag: string, text: string) => `  ${flag.padEnd(width)}${text}`;

/** Breaks a text between words, so that the lines of the help have at most 110 characters. */
function folded(text: string): string[] {
  return text.match(new RegExp(`.{1,${108 - width}}(?= |$)`, "g"))?.map((line) => line.trim()) ?? [];
}
