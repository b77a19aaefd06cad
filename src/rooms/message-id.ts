import { randomBytes } from "node:crypto";

const processId = randomBytes(5).toString("hex");
let millisecond = 0;
let time = "";
let count = 0;

/**
 * Makes a message id that is unique across processes and that sorts as a string by creation time, also within
 * a millisecond and when the clock is set back. It has 9 characters for the time and 4 for a counter, both in
 * base 36, and 10 hexadecimal characters for the process.
 */
export function messageId(now: number): string {
  if (now > millisecond) begin(now);
  else if (++count === 36 ** 4) begin(millisecond + 1);
  return time + count.toString(36).padStart(4, "0") + processId;
}

function begin(at: number): void {
  millisecond = at;
  time = at.toString(36).padStart(9, "0");
  count = 0;
}
