import { type IncomingMessage, type RequestListener, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import cors from "cors";
import type { Server as Engine } from "engine.io";
import type { Refusal } from "../limits/admission.ts";
import { Pipeline } from "../net/pipeline.ts";
import type { EngineRequest } from "./internals.ts";
import { parseQuery } from "./request.ts";

/** Optional listeners for {@link mount}. */
export interface MountOptions {
  /** Serves the other requests below the engine's path. By default the server's existing listeners do. */
  files?: RequestListener;
  /** Called before a connection is destroyed because it sends requests without waiting for responses. */
  onOverflow?(socket: Socket): void;
}

/** The admission has already checked the origin. Clients before 3.0 send cookies, if only those of a proxy. */
const shareWithOrigin = cors({ origin: true, credentials: true });

/**
 * Routes the requests and WebSocket upgrades of one path to an engine, and all
 * others to the server's existing listeners. A WebSocket upgrade that has no other listener is refused at
 * once. The requests of each connection are handled one at a time, whichever listener answers them.
 *
 * @param refusalOf returns the reason to refuse a request to the engine, or undefined to admit it
 */
export function mount(
  engine: Engine,
  server: Server,
  path: string,
  refusalOf: (request: EngineRequest) => Refusal | undefined,
  { files, onOverflow = () => {} }: MountOptions = {},
): void {
  const isOurs = ({ url = "" }: IncomingMessage) => url === path || url.startsWith(`${path}?`);
  const isFile = ({ url = "" }: IncomingMessage) => files !== undefined && url.startsWith(path);
  const others = server.listeners("request") as RequestListener[];

  const pipeline = new Pipeline((request, response) => {
    if (isOurs(request)) answer(parseQuery(request), response);
    else if (isFile(request)) files?.(request, response);
    else for (const listener of others) listener.call(server, request, response);
  }, onOverflow);

  function answer(request: EngineRequest, response: ServerResponse): void {
    const refusal = refusalOf(request);
    if (refusal) refuse(response, refusal);
    else if (request.headers.origin === undefined) engine.handleRequest(request, response);
    else shareWithOrigin(request, response, () => engine.handleRequest(request, response));
  }

  function upgrade(request: EngineRequest, socket: Socket, head: Buffer): void {
    const refusal = refusalOf(request);
    const response = refusal && responseTo(request, socket);
    if (response) refuse(response, refusal);
    else if (!refusal) engine.handleUpgrade(request, socket, head);
  }

  function onUpgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // On an upgrade Node detaches the socket, and any responses that are still pending on it are lost.
    if (pipeline.isBusy(socket)) pipeline.overflow(socket);
    else if (isOurs(request) && isWebSocket(request)) upgrade(parseQuery(request), socket, head);
    else decline(server, request, socket);
  }

  server.removeAllListeners("request");
  server.on("request", (request, response) => pipeline.enter(request, response));
  interceptUpgrades(server, isOurs, onUpgrade);
}

type OnUpgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void;

/**
 * Handles the engine's upgrades, and those that have no other listener. Other listeners never see the
 * engine's upgrades, whenever they were added: `@fastify/websocket` would answer them with a WebSocket of its
 * own. The server's `emit` is replaced, because the server is the application's, and Node passes each upgrade to
 * all listeners.
 */
function interceptUpgrades(
  server: Server,
  isOurs: (request: IncomingMessage) => boolean,
  onUpgrade: OnUpgrade,
): void {
  // Node emits "upgrade" only if there is a listener.
  const placeholder = () => {};
  server.on("upgrade", placeholder);
  const { emit } = server as { emit(...args: unknown[]): boolean };
  server.emit = (...args: unknown[]) => {
    const [event, request, socket, head] = args as [string, ...Parameters<OnUpgrade>];
    if (event === "upgrade") {
      if (isOurs(request) || server.listeners("upgrade").every((listener) => listener === placeholder)) {
        onUpgrade(request, socket, head);
        return true;
      }
    }
    return emit.apply(server, args);
  };
}

const isWebSocket = ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === "websocket";

function refuse(
  response: ServerResponse,
  { code, status, message, retryAfterSeconds, answer }: Refusal,
): void {
  if (retryAfterSeconds !== undefined) response.setHeader("retry-after", retryAfterSeconds);
  response.writeHead(status, { "content-type": "application/json", connection: "close" });
  response.end(JSON.stringify(answer ?? { code, message }));
}

/**
 * Creates a response to a request whose socket Node has detached. The connection ends with the response.
 *
 * @returns undefined, after destroying the connection, if an earlier request on it is still unanswered
 */
function responseTo(request: IncomingMessage, socket: Socket): ServerResponse | undefined {
  // Without a listener, a connection reset at this point would end the process.
  socket.on("error", () => socket.destroy());
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  try {
    response.assignSocket(socket);
  } catch {
    socket.destroy();
    return undefined;
  }
  // Node no longer reads from the socket, and no longer reports when it has drained.
  socket.resume();
  socket.on("drain", () => response.emit("drain"));
  response.on("finish", () => socket.destroySoon());
  response.on("close", () => socket.destroySoon());
  return response;
}

/**
 * Answers as if the client had not asked for an upgrade, which a server may do (RFC 9110, 7.8): curl and Java
 * ask for h2c with every plain request. The body of such a request can no longer be read.
 */
function decline(server: Server, request: IncomingMessage, socket: Socket): void {
  const response = responseTo(request, socket);
  if (!response) return;
  const hasBody = request.headers["content-length"] || request.headers["transfer-encoding"];
  if (isWebSocket(request) || hasBody) response.writeHead(404, { connection: "close" }).end();
  else server.emit("request", request, response);
}
