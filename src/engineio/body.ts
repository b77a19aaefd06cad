import type { IncomingMessage } from "node:http";

const firstBytes = 1_024;

/**
 * Reads the body of a request into one buffer that grows: bodies that come byte by byte, kept as they come, would
 * cost two hundred times their size.
 *
 * @param hold is told how many bytes are kept, as often as that changes
 * @param done is handed the body, or undefined where it is larger than it may be
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  hold: (bytes: number) => void,
  done: (body: Buffer | undefined) => void,
): void {
  let body = Buffer.allocUnsafeSlow(firstBytes);
  hold(firstBytes);
  let length = 0;
  const onData = (chunk: Buffer) => {
    const needed = length + chunk.length;
    if (needed > maxBytes) {
      request.off("data", onData);
      request.off("end", onEnd);
      request.resume();
      done(undefined);
      return;
    }
    if (needed > body.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(needed, 2 * body.length)));
      body.copy(larger, 0, 0, length);
      body = larger;
      hold(body.length);
    }
    chunk.copy(body, length);
    length = needed;
  };
  const onEnd = () => done(body.subarray(0, length));
  request.on("data", onData);
  request.on("end", onEnd);
}
