import { randomBytes } from "node:crypto";

/** A place in the log of a room. */
export interface Position {
  /** The name of the log. A room whose log was lost gets another one. */
  readonly epoch: string;
  /** The number of messages logged so far, this one included. */
  readonly seq: number;
}

const processName = randomBytes(4).readUInt32BE().toString(36);
let count = 0;

/** Makes the name of a new log, unique across processes and restarts. */
export const newEpoch = (): string => `${processName}${(count++).toString(36)}`;

/** A position as clients see it: `EPOCH:SEQ`. */
export const offsetOf = ({ epoch, seq }: Position): string => `${epoch}:${seq}`;

/** The position of an offset that was validated. */
export function positionOf(offset: string): Position {
  const [epoch = "", seq] = offset.split(":");
  return { epoch, seq: Number(seq) };
}
