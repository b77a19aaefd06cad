import type { IncomingMessage } from "node:http";
import { parse } from "node:querystring";
import type { EngineRequest, SocketInternals } from "./internals.ts";
import { sessionOf } from "./session.ts";

/** More than a client of ours has, and its rooms; the query is kept as long as the connection. */
const maxKeys = 1_000;

/**
 * Reads the query of a request, once: whoever decides by it decides by what Engine.IO then uses. By the quicker of
 * Node's two parsers.
 */
export function parseQuery(request: IncomingMessage): EngineRequest {
  const parsed = request as EngineRequest;
  parsed._query ??= queryOf(request.url);
  return parsed;
}

/** The query of a URL; of a key that is repeated the last value, as Engine.IO has it. */
function queryOf(url = ""): Record<string, string> {
  const [, text = ""] = url.match(/\?([^#]*)/) ?? [];
  const query = { ...parse(text, "&", "=", { maxKeys }) };
  for (const key in query) {
    const value = query[key];
    if (Array.isArray(value)) query[key] = value.at(-1);
  }
  return query as Record<string, string>;
}

/** Whether everything that Socket.IO reads of a request is still there. An application may have changed it. */
export function isComplete(request: unknown): request is EngineRequest {
  const { headers, connection, url, _query } = (request ?? {}) as Partial<EngineRequest>;
  return Boolean(headers && connection && _query) && typeof url === "string";
}

/**
 * Calls Socket.IO while it builds a handshake from the request of a connection. An application may have discarded
 * that request to save memory, as Socket.IO's documentation advises, or have damaged it: then Socket.IO gets ours.
 */
export function withRequest<T>(connection: SocketInternals, build: () => T): T {
  const { request } = connection;
  if (isComplete(request)) return build();
  // Socket.IO copes with none.
  connection.request = (sessionOf(connection)?.request.unchanged() ?? null) as never;
  try {
    return build();
  } finally {
    connection.request = request;
  }
}
