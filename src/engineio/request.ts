import type { IncomingMessage } from "node:http";
import { parse } from "node:querystring";
import type { EngineRequest, SocketInternals } from "./internals.ts";
import { sessionOf } from "./session.ts";

/** More query keys than a client sends, rooms included. The query lives as long as the connection. */
const maxKeys = 1_000;

/**
 * Parses the query of a request once, so that every check sees the values that Engine.IO uses later. It uses
 * the faster of Node's two parsers.
 */
export function parseQuery(request: IncomingMessage): EngineRequest {
  const parsed = request as EngineRequest;
  parsed._query ??= queryOf(request.url);
  return parsed;
}

/** The query of a URL. The last value of a repeated key wins, as in Engine.IO. */
function queryOf(url = ""): Record<string, string> {
  const [, text = ""] = url.match(/\?([^#]*)/) ?? [];
  const query = { ...parse(text, "&", "=", { maxKeys }) };
  for (const key in query) {
    const value = query[key];
    if (Array.isArray(value)) query[key] = value.at(-1);
  }
  return query as Record<string, string>;
}

/** Whether a request still has all the fields that Socket.IO reads. An application may have changed it. */
export function isComplete(request: unknown): request is EngineRequest {
  const { headers, connection, url, _query } = (request ?? {}) as Partial<EngineRequest>;
  return Boolean(headers && connection && _query) && typeof url === "string";
}

/**
 * Runs `build`, in which Socket.IO builds a handshake from the connection's request. An application may have
 * discarded that request to save memory, as Socket.IO's documentation advises, or damaged it. Socket.IO then
 * gets the session's own copy.
 */
export function withRequest<T>(connection: SocketInternals, build: () => T): T {
  const { request } = connection;
  if (isComplete(request)) return build();
  // Socket.IO accepts null as a request.
  connection.request = (sessionOf(connection)?.request.unchanged() ?? null) as never;
  try {
    return build();
  } finally {
    connection.request = request;
  }
}
