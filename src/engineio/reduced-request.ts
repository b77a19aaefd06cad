import { IncomingMessage } from "node:http";
import { Socket as TcpSocket } from "node:net";
import type { EngineRequest } from "./internals.ts";

type Essentials = Pick<EngineRequest, "headers" | "rawHeaders" | "url" | "_query" | "socket" | "websocket">;

/**
 * What is kept of the request that opened a WebSocket, in place of it: the rest, some kilobytes of parser and stream,
 * would be kept as long as the connection. It can be read like a request whose body has ended. Listeners may be
 * added to it and are never called.
 */
export class ReducedRequest {
  readonly #headers: IncomingMessage["headers"];
  readonly #rawHeaders: readonly string[];
  readonly #url: string | undefined;
  readonly #query: Record<string, string>;
  readonly #socket: TcpSocket;
  readonly #websocket: EngineRequest["websocket"];

  constructor({ headers, rawHeaders, url, _query, socket, websocket }: Essentials) {
    this.#headers = headers;
    this.#rawHeaders = sharedNames(rawHeaders) ?? rawHeaders;
    this.#url = url;
    this.#query = _query;
    this.#socket = socket;
    this.#websocket = websocket;
  }

  /** The request without what an application has changed of it. */
  unchanged(): EngineRequest {
    const [headers, url, _query, socket] = [this.#headers, this.#url, this.#query, this.#socket];
    const rawHeaders = rawHeadersOf(this.#rawHeaders, headers) as string[];
    const essentials = { headers, rawHeaders, url, _query, socket, websocket: this.#websocket };
    return new ReducedRequest(essentials as Essentials) as unknown as EngineRequest;
  }

  // Properties that can be assigned and deleted, as those of any request; what was given stays as it was.
  static {
    const readers: Record<string, (request: ReducedRequest) => unknown> = {
      headers: (request) => request.#headers,
      rawHeaders: (request) => rawHeadersOf(request.#rawHeaders, request.#headers),
      url: (request) => request.#url,
      _query: (request) => request.#query,
      socket: (request) => request.#socket,
      connection: (request) => request.#socket,
      client: (request) => request.#socket,
      websocket: (request) => request.#websocket,
    };
    for (const [name, read] of Object.entries(readers)) {
      Object.defineProperty(ReducedRequest.prototype, name, {
        get(this: ReducedRequest) {
          return read(this);
        },
        set(this: ReducedRequest, value: unknown) {
          Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
        },
      });
    }
  }
}

/** The rest of what a request has. That of a WebSocket is a GET of HTTP/1.1, and its body is empty (RFC 6455, 4.1). */
const ended = {
  method: "GET",
  httpVersion: "1.1",
  httpVersionMajor: 1,
  httpVersionMinor: 1,
  statusCode: null,
  statusMessage: null,
  complete: true,
  aborted: false,
  readable: false,
  readableEnded: true,
  trailers: {},
  rawTrailers: [],
  read: () => null,
  pipe: (destination: unknown) => destination,
  isPaused: () => false,
  emit: () => false,
  listeners: () => [],
  rawListeners: () => [],
  eventNames: () => [],
  listenerCount: () => 0,
  getMaxListeners: () => 0,
};

const chainable = [
  ...["on", "once", "addListener", "prependListener", "prependOnceListener"],
  ...["off", "removeListener", "removeAllListeners", "setMaxListeners"],
  ...["pause", "resume", "setEncoding", "setTimeout", "unpipe", "destroy"],
];

function itself(this: ReducedRequest): ReducedRequest {
  return this;
}

Object.assign(ReducedRequest.prototype, ended);
for (const name of chainable)
  Object.defineProperty(ReducedRequest.prototype, name, { value: itself, writable: true });

/** What every request has, and what Node's server and Engine.IO put on it. */
const ordinaryKeys = new Set<string | symbol>([
  ...Reflect.ownKeys(new IncomingMessage(new TcpSocket())),
  ...["parser", "_query", "websocket"],
]);

/** Whether a {@link ReducedRequest} can stand for a request: no application has put anything on it. */
export function isReducible(request: EngineRequest): boolean {
  return request.httpVersion === "1.1" && Reflect.ownKeys(request).every((key) => ordinaryKeys.has(key));
}

/** Names of headers in the order in which they were sent; clients of one kind send the same, and share a list. */
const nameLists = new Map<string, readonly string[]>();
const shared = new WeakSet<readonly string[]>();
const maxNameLists = 200;
const maxNameChars = 2_000;

/**
 * The names alone of headers, in a list that requests share.
 *
 * @returns undefined where the values cannot be told from `headers`, since a name is repeated, or the list is new
 * and there are many already
 */
function sharedNames(rawHeaders: readonly string[]): readonly string[] | undefined {
  const names = rawHeaders.filter((_, index) => index % 2 === 0);
  const key = names.join("\n");
  const known = nameLists.get(key);
  if (known || nameLists.size >= maxNameLists || key.length > maxNameChars) return known;
  const distinct = new Set(names.map((name) => name.toLowerCase()));
  if (distinct.size < names.length || distinct.has("set-cookie")) return undefined;
  nameLists.set(key, names);
  shared.add(names);
  return names;
}

function rawHeadersOf(list: readonly string[], headers: IncomingMessage["headers"]): readonly string[] {
  return shared.has(list) ? list.flatMap((name) => [name, String(headers[name.toLowerCase()])]) : list;
}
