import { Ajv } from "ajv";
import type { TSchema } from "typebox";
import { ClientError } from "../errors.ts";

const ajv = new Ajv();

/** Stands for an argument that was not read, since its packet is longer than any event of a namespace may be. */
export class Unread {
  readonly packetChars: number;

  constructor(packetChars: number) {
    this.packetChars = packetChars;
  }
}

/**
 * Compiles the schema of one field into a function that throws unless a value matches it.
 *
 * What it throws is `bad_payload` (`too_large` for a text that is too long), with a message made of the schema's
 * `title` and `description` and of what came instead.
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
