import Type, { type Static, type TOptional, type TSchema } from "typebox";
import type { Authenticator } from "../auth/permissions.ts";
import type { NamespaceName } from "../protocol.ts";
import type { Rooms } from "../rooms/rooms.ts";
import type { Member } from "./member.ts";
import { hasSizeLimit, Unread, validator } from "./validate.ts";

/**
 * Validates an event's arguments, then handles it. Its return value, or what that resolves to, is the ack.
 */
export type Handler = (member: Member, args: readonly unknown[]) => unknown;

/** The parameters of a namespace. */
export interface Setup {
  rooms: Rooms;
  /** The longest text of a message, in characters, and the largest JSON of `publish`, in bytes. */
  maxTextChars: number;
  /** If defined, every connection must present a token. */
  authenticator?: Authenticator | undefined;
}

/** A namespace: its name, rooms and authenticator, and a handler for each event. */
export interface Namespace {
  readonly name: NamespaceName;
  readonly rooms: Rooms;
  readonly authenticator?: Authenticator | undefined;
  readonly events: ReadonlyMap<string, Handler>;
  /**
   * The events that a member may send again before the first one is answered: the store keeps their order, and they
   * change nothing that the next one depends on.
   */
  readonly overlapping: ReadonlySet<string>;
}

const overlapping: ReadonlySet<string> = new Set(["chat", "publish"]);

/** Creates a namespace. @typeParam Events its events in `protocol.ts`; each must have a handler */
export function namespace<Events>(
  name: NamespaceName,
  { rooms, authenticator }: Setup,
  events: Record<keyof Events, Handler>,
): Namespace {
  return { name, rooms, authenticator, events: new Map(Object.entries<Handler>(events)), overlapping };
}

type Arguments<Schemas extends readonly TSchema[]> = {
  [I in keyof Schemas]: Schemas[I] extends TOptional<TSchema>
    ? Static<Schemas[I]> | undefined
    : Static<Schemas[I]>;
};

/**
 * Creates a handler that validates each argument against its schema and ignores further arguments. An
 * optional argument may be null, because JSON turns undefined into null.
 */
export function on<Schemas extends TSchema[]>(
  ...parts: [...Schemas, (member: Member, ...args: Arguments<Schemas>) => unknown]
): Handler {
  const handle = parts.at(-1) as (member: Member, ...args: unknown[]) => unknown;
  const fields = (parts.slice(0, -1) as TSchema[]).map((schema) => ({
    validate: validator(schema),
    optional: Type.IsOptional(schema),
    hasSizeLimit: hasSizeLimit(schema),
  }));
  return (member, args) => {
    // The only argument of an event that was too long to be parsed: its longest field is to blame.
    if (args[0] instanceof Unread) fields.find((field) => field.hasSizeLimit)?.validate(args[0]);
    const validated: unknown[] = [];
    for (const { validate, optional } of fields) {
      const arg = args[validated.length];
      const isMissing = optional && arg == null;
      if (!isMissing) validate(arg);
      validated.push(isMissing ? undefined : arg);
    }
    return handle(member, ...validated);
  };
}
