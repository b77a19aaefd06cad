import type { Level, LineLog } from "./repeat-log.ts";

/** A log whose lines have the field `node`: the name of the node, as it is when the line is written. */
export function nodeLog(log: LineLog, nodeId: () => string): LineLog {
  const writer = (level: Level) => (details: object, message: string) =>
    log[level]({ node: nodeId(), ...details }, message);
  return {
    debug: writer("debug"),
    info: writer("info"),
    warn: writer("warn"),
    error: writer("error"),
    get level() {
      return log.level;
    },
    isLevelEnabled: (level) => log.isLevelEnabled?.(level) ?? true,
  };
}
