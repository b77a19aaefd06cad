import { randomBytes } from "node:crypto";

const maker = randomBytes(5).toString("hex");
let millisecond = 0;
let time = "";
let count = 0;

/**
 * An id that no other process makes and that sorts as a string by the time it was made, also within a
 * millisecond and when the clock is set back: 9 characters of time and 4 of a counter in base 36, 10 that
 * name the process.
 */
export function messageId(now: number): string {
  if (now > millisecond) begin(now);
  else if (++count === 36 ** 4) begin(millisecond + 1);
  return time + count.toString(36).padStart(4, "0") + maker;
}

function begin(at: number): void {
  millisecond = at;
  time = at.toString(36).padStart(9, "0");
  count = 0;
}
