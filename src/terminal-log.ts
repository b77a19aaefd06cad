const levels: Record<number, { name: string; colour: number }> = {
  10: { name: "TRACE", colour: 90 },
  20: { name: "DEBUG", colour: 34 },
  30: { name: "INFO", colour: 32 },
  40: { name: "WARN", colour: 33 },
  50: { name: "ERROR", colour: 31 },
  60: { name: "FATAL", colour: 31 },
};

/** The output of the log: `process.stdout`, if it is a terminal. */
export interface Terminal {
  write(text: string): unknown;
  hasColors(): boolean;
}

/**
 * A stream for pino that makes its JSON readable: time, level, node and message, then one line per further field.
 */
export function terminalLog(terminal: Terminal): { write(line: string): void } {
  const hasColors = terminal.hasColors();
  const coloured = (text: string, colour: number) => (hasColors ? `\x1b[${colour}m${text}\x1b[39m` : text);
  return {
    write(line) {
      const { level, time, msg = "", node, pid, hostname, ...fields } = JSON.parse(line);
      const { name, colour } = levels[level] ?? { name: `LEVEL ${level}`, colour: 39 };
      const clock = new Date(time).toTimeString().slice(0, 8);
      const where = node === undefined ? "" : ` ${escaped(String(node))}`;
      const lines = [
        `[${clock}] ${coloured(name, colour)}${where}: ${coloured(escaped(String(msg)), 36)}`,
        ...details(fields),
      ];
      terminal.write(`${lines.join("\n    ")}\n`);
    },
  };
}

/** Shows an error as its stack, which begins with its type and message, and any other field as JSON. */
function details(fields: Record<string, unknown>): string[] {
  return Object.entries(fields).flatMap(([key, value]) => {
    const { stack, type, message, ...rest } = (value ?? {}) as Record<string, unknown>;
    if (typeof stack === "string") return [...stack.split("\n").map(escaped), ...details(rest)];
    return escaped(`${key}: ${JSON.stringify(value)}`);
  });
}

/** Escapes text that clients chose: it must not move the terminal's cursor or imitate another line. */
function escaped(text: string): string {
  return text.replace(/\p{Cc}|\p{Bidi_Control}|[\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
