import { IncomingMessage } from "node:http";
import { Socket as TcpSocket } from "node:net";
import type { EngineRequest } from "./internals.ts";

type RetainedFields = Pick<
  EngineRequest,
  "headers" | "rawHeaders" | "url" | "_query" | "socket" | "websocket"
>;

/**
 * Replaces the request that opened a WebSocket and keeps only part of it. The rest, some kilobytes of parser
 * and stream state, would otherwise stay in memory as long as the connection. It can be read like a request
 * whose body has ended. Listeners can be added, but are never called.
 */
export class ReducedRequest {
  readonly #headers: IncomingMessage["headers"];
  readonly #rawHeaders: readonly string[];
  readonly #url: string | undefined;
  readonly #query: Record<string, string>;
  readonly #socket: TcpSocket;
  readonly #websocket: EngineRequest["websocket"];

  constructor({ headers, rawHeaders, url, _query, socket, websocket }: RetainedFields) {
    this.#headers = headers;
    this.#rawHeaders = sharedNames(rawHeaders) ?? rawHeaders;
    this.#url = url;
    this.#query = _query;
    this.#socket = socket;
    this.#websocket = websocket;
  }

  /** A copy of the request as it was received, without an application's changes. */
  unchanged(): EngineRequest {
    const [headers, url, _query, socket] = [this.#headers, this.#url, this.#query, this.#socket];
    const rawHeaders = rawHeadersOf(this.#rawHeaders, headers) as string[];
    const retained = { headers, rawHeaders, url, _query, socket, websocket: this.#websocket };
    return new ReducedRequest(retained as RetainedFields) as unknown as EngineRequest;
  }

  // As on any request, these properties can be assigned and deleted. The private originals never change.
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

/** The other properties. A WebSocket handshake is an HTTP/1.1 GET with an empty body (RFC 6455, 4.1). */
const fixedProperties = {
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

function returnThis(this: ReducedRequest): ReducedRequest {
  return this;
}

Object.assign(ReducedRequest.prototype, fixedProperties);
for (const name of chainable)
  Object.defineProperty(ReducedRequest.prototype, name, { value: returnThis, writable: true });

/** The own properties of every request, including those that Node's server and Engine.IO add. */
const ordinaryKeys = new Set<string | symbol>([
  ...Reflect.ownKeys(new IncomingMessage(new TcpSocket())),
  ...["parser", "_query", "websocket"],
]);

/** Whether a {@link ReducedRequest} can replace a request: HTTP/1.1, and no application has added to it. */
export function isReducible(request: EngineRequest): boolean {
  return request.httpVersion === "1.1" && Reflect.ownKeys(request).every((key) => ordinaryKeys.has(key));
}

/** Lists of header names in the order sent. Clients of the same kind send the same names and share a list. */
const nameLists = new Map<string, readonly string[]>();
const shared = new WeakSet<readonly string[]>();
const maxNameLists = 200;
const maxNameChars = 2_000;

/**
 * The header names without their values, in a list that requests share.
 *
 * @returns undefined if the values cannot be restored from `headers` because a name is repeated, or if the
 * list is new and either too long or one too many
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
