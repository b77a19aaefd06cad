import { IncomingMessage } from "node:http";
import { Socket as TcpSocket } from "node:net";
import { parse } from "node:querystring";
import type { TransportRequest } from "./outbox.ts";

/** The query of a URL; of a key that is repeated the last value, as Engine.IO has it. */
export function queryOf(url = ""): Record<string, string> {
  const query = { ...parse(url.slice(url.indexOf("?") + 1), "&", "=", { maxKeys: 0 }) };
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
export function slim(connection: { request: TransportRequest }): void {
  const { request } = connection;
  if (Object.keys(request).some((key) => !ordinary.has(key))) return;
  const { headers, url, _query, socket } = request;
  const essence = { headers, url, _query, socket, client: socket, connection: socket };
  connection.request = essence as unknown as TransportRequest;
}

/** What every request has, and what Node's server and Engine.IO put on it. */
const ordinary = new Set([
  ...Object.keys(new IncomingMessage(new TcpSocket())),
  ...["parser", "_query", "websocket"],
]);

/** Gives back what arrays hold in reserve: one that was pushed to keeps room for sixteen more. */
export function trim(owner: object, ...names: string[]): void {
  const arrays = owner as Record<string, unknown[]>;
  for (const name of names) arrays[name] = arrays[name]?.slice() ?? [];
}
