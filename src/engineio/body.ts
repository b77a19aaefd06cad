import type { IncomingMessage } from "node:http";

const initialBytes = 1_024;

/**
 * Reads the body of a request into one growing buffer. If the chunks were kept instead, a body that arrives
 * byte by byte would take two hundred times its size.
 *
 * @param hold called with the size of the buffer, in bytes, each time it changes
 * @param done called with the body, or with undefined if the body is larger than `maxBytes`
 */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  hold: (bytes: number) => void,
  done: (body: Buffer | undefined) => void,
): void {
  let body = Buffer.allocUnsafeSlow(initialBytes);
  hold(initialBytes);
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
