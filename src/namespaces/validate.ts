import { Ajv } from "ajv";
import Type, { type TObject, type TSchema, type TUnion } from "typebox";
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
export function validator(schema: Field): (value: unknown) => void {
  if (Type.IsObject(schema)) return objectValidator(schema);
  return Type.IsUnion(schema) ? stringOrObjectValidator(schema) : valueValidator(schema);
}

/** A union of a string and an object. */
function stringOrObjectValidator({ anyOf: [string, object] }: TUnion): (value: unknown) => void {
  const [validString, validObject] = [validator(string as TSchema), validator(object as TSchema)];
  return (value) => (isObject(value) ? validObject(value) : validString(value));
}

export type Field = TSchema & { title?: string; description?: string };

/** An object whose fields are all optional; null counts as missing, and other fields are ignored. */
function objectValidator({ title, description, properties }: Field & TObject): (value: unknown) => void {
  const fields = Object.entries(properties).map(([name, field]) => ({ name, validate: validator(field) }));
  return (value) => {
    if (!isObject(value))
      throw new ClientError("bad_payload", `${title}: expected ${description}, got ${described(value)}.`);
    for (const { name, validate } of fields) {
      const given = (value as Record<string, unknown>)[name];
      if (given != null) validate(given);
    }
  };
}

function valueValidator(schema: Field): (value: unknown) => void {
  const valid = ajv.compile(schema);
  return (value) => {
    const isUnread = value instanceof Unread;
    if (!isUnread && valid(value)) return;
    const isTooLong = hasSizeLimit(schema) && (isUnread || valid.errors?.[0]?.keyword === "maxLength");
    throw new ClientError(
      isTooLong ? "too_large" : "bad_payload",
      `${schema.title}: expected ${schema.description}, got ${described(value)}.`,
    );
  };
}

const isObject = (value: unknown): value is object =>
  typeof value === "object" &&
  value !== null &&
  !Array.isArray(value) &&
  !(value instanceof Uint8Array || value instanceof Unread);

/** Whether a field is limited in size by the server's settings. */
export const hasSizeLimit = ({ title }: Field): boolean => title === "text" || title === "data";

export function described(value: unknown): string {
  if (value instanceof Unread) return `a packet of ${value.packetChars.toLocaleString("en")} characters`;
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (value === "") return "an empty string";
  if (typeof value === "string") return `a string of length ${value.length.toLocaleString("en")}`;
  if (Array.isArray(value)) return "an array";
  if (value instanceof Uint8Array) return "binary data";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
