import { IncomingMessage } from "node:http";
import { Socket as TcpSocket } from "node:net";
import { parse } from "node:querystring";
import type { EngineRequest } from "./internals.ts";

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

/**
 * Keeps of a request what is read of it once its connection is made. The rest, some kilobytes of parser and
 * stream, would be kept as long as the connection. A request that an application has put something on is kept.
 */
export function slim(connection: { request: EngineRequest }): void {
  const { request } = connection;
  if (Object.keys(request).some((key) => !ordinary.has(key))) return;
  connection.request = new Essence(request) as unknown as EngineRequest;
}

/** What is read of a request for as long as its connection lasts. */
class Essence {
  readonly headers: IncomingMessage["headers"];
  readonly url: string | undefined;
  readonly _query: Record<string, string>;
  readonly socket: TcpSocket;

  constructor({ headers, url, _query, socket }: EngineRequest) {
    this.headers = headers;
    this.url = url;
    this._query = _query;
    this.socket = socket;
  }

  get connection(): TcpSocket {
    return this.socket;
  }

  get client(): TcpSocket {
    return this.socket;
  }
}

/** What every request has, and what Node's server and Engine.IO put on it. */
const ordinary = new Set([
  ...Object.keys(new IncomingMessage(new TcpSocket())),
  ...["parser", "_query", "websocket"],
]);
