import type { ErrorInfo } from "../errors.ts";
import type { Handshake } from "../namespaces/lifecycle.ts";
import type { SocketIOClient } from "./server.ts";

/** Takes linear time for any URL: a key is searched for only at the start of the query and after an ampersand. */
const repeatsKey = /(?:^[^?]*\?|&)(userId|room)=.*&\1=/;

/**
 * Reads the handshake of a client. `auth` belongs to the namespace and overrides the query of the connection.
 */
export function handshakeOf({ conn, handshake }: SocketIOClient): Handshake {
  const { query, url, headers } = handshake;
  const auth: Handshake = conn.protocol === 3 ? fieldsOf(handshake.auth) : handshake.auth;
  // Engine.IO keeps only the last value of a repeated key. Parsing a long query again is expensive, so only
  // do it then.
  const { userId, room } = repeatsKey.test(url) ? repeated(url) : query;
  const [, bearer] = headers.authorization?.match(/^Bearer +(\S+) *$/i) ?? [];
  return {
    userId: auth.userId ?? userId,
    room: auth.room ?? room,
    token: auth.token ?? bearer,
    since: auth.since ?? json(query.since),
    last: auth.last ?? json(query.last),
  };
}

/** The `auth` of a client before 3.0 is the query of its namespace. */
const fieldsOf = (query: Record<string, unknown>): Handshake => ({
  ...query,
  since: json(query.since),
  last: json(query.last),
});

/** The value of a field in the query. A value that is not JSON is passed on unchanged; the validation refuses it. */
function json(field: unknown): unknown {
  try {
    return typeof field === "string" ? JSON.parse(field) : field;
  } catch {
    return field;
  }
}

function repeated(url: string): Handshake {
  const query = new URL(url, "http://localhost").searchParams;
  const userIds = query.getAll("userId");
  return { userId: userIds.length > 1 ? userIds : userIds[0], room: query.getAll("room") };
}

/** A refusal as Socket.IO's middleware passes it on: clients receive it as `connect_error`, with `data`. */
export const connectError = (error: ErrorInfo): Error =>
  Object.assign(new Error(error.message), { data: error });
