import { ClientError, type ErrorCode } from "../errors.ts";
import { Data } from "../protocol.ts";
import { described, type Field } from "./validate.ts";

/** How deeply objects and arrays may be nested. */
const maxDepth = 64;

/**
 * Creates a function that throws unless a value is JSON that may be published.
 *
 * It throws a {@link ClientError} `bad_payload` or `too_large`.
 *
 * @param maxBytes the maximum size of the JSON, in bytes
 */
export function dataValidator(maxBytes: number): (value: unknown) => void {
  const { description } = Data(maxBytes) as Field;
  const refuse = (code: ErrorCode, got: string) => {
    throw new ClientError(code, `data: expected ${description}, got ${got}.`);
  };
  return (value) => {
    if (value === undefined || value instanceof Uint8Array) refuse("bad_payload", described(value));
    if (isDeeper(value, maxDepth)) refuse("bad_payload", `JSON that is nested more than ${maxDepth} deep`);
    const bytes = Buffer.byteLength(JSON.stringify(value));
    if (bytes > maxBytes) refuse("too_large", `${bytes.toLocaleString("en")} bytes`);
  };
}

/** Whether a value contains objects and arrays that are nested more than `depth` deep. */
function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((item) => isDeeper(item, depth - 1));
}
