import { Ajv } from "ajv";
import type { TSchema } from "typebox";
import { ClientError } from "../errors.ts";

const ajv = new Ajv();

/** Replaces the arguments of a packet that was not parsed because it is longer than any event may be. */
export class Unread {
  readonly packetChars: number;

  constructor(packetChars: number) {
    this.packetChars = packetChars;
  }
}

/**
 * Compiles the schema of one field into a function that throws unless a value matches it.
 *
 * It throws a {@link ClientError} `bad_payload` (`too_large` if a text is too long). The message consists of
 * the schema's `title` and `description` and a description of the value received.
 */
export function validator(
  schema: TSchema & { title?: string; description?: string },
): (value: unknown) => void {
  const valid = ajv.compile(schema);
  return (value) => {
    if (valid(value)) return;
    const isTooLong =
      schema.title === "text" &&
      ((value as unknown) instanceof Unread || valid.errors?.[0]?.keyword === "maxLength");
    throw new ClientError(
      isTooLong ? "too_large" : "bad_payload",
      `${schema.title}: expected ${schema.description}, got ${described(value)}.`,
    );
  };
}

function described(value: unknown): string {
  if (value instanceof Unread) return `a packet of ${value.packetChars.toLocaleString("en")} characters`;
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (value === "") return "an empty string";
  if (typeof value === "string") return `a string of length ${value.length.toLocaleString("en")}`;
  if (Array.isArray(value)) return "an array";
  if (value instanceof Uint8Array) return "binary data";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
