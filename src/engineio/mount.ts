import { type IncomingMessage, type RequestListener, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import cors from "cors";
import type { Server as Engine } from "engine.io";
import type { Refusal } from "../limits/admission.ts";
import { Pipeline } from "../net/pipeline.ts";
import type { EngineRequest } from "./internals.ts";
import { parseQuery } from "./request.ts";

/** Says why a request is turned away, if it is. */
export type Doorkeeper = (request: EngineRequest) => Refusal | undefined;

export interface MountOptions {
  /** Answers the requests below the engine's path; where it is left out, the server's other listeners do. */
  files?: RequestListener;
  /** Is called before a connection is destroyed that sends requests without waiting for answers. */
  onOverflow?(socket: Socket): void;
}

/** Every origin that gets so far is allowed. Clients before 3.0 send cookies, if only a proxy's. */
const shareWithOrigin = cors({ origin: true, credentials: true });

/**
 * Gives an engine the requests and WebSockets of one path, as far as the doorkeeper lets them in, and leaves all
 * others to whoever had them. A WebSocket that nobody else listens for is refused at once. The requests of one
 * connection are handled one at a time, whoever answers them.
 */
export function mount(
  engine: Engine,
  server: Server,
  path: string,
  refusalOf: Doorkeeper,
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
    // Node lets go of a connection with the upgrade, and with it of the answers that are still due.
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
 * Handles the upgrades that are ours, and those that nobody else listens for. Others see none of ours, whenever
 * they began to listen: `@fastify/websocket` would answer it with a WebSocket of its own.
 */
function interceptUpgrades(
  server: Server,
  isOurs: (request: IncomingMessage) => boolean,
  onUpgrade: OnUpgrade,
): void {
  // Without a listener Node would not tell of upgrades.
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
 * A way to answer a request that Node has let go of; its connection ends with the answer.
 *
 * @returns undefined, and ends it at once, where a request before it is not answered yet
 */
function responseTo(request: IncomingMessage, socket: Socket): ServerResponse | undefined {
  // Without a listener, a connection reset in this moment would end the process.
  socket.on("error", () => socket.destroy());
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  try {
    response.assignSocket(socket);
  } catch {
    socket.destroy();
    return undefined;
  }
  // Node reads no more from it, and tells nobody when more can be written.
  socket.resume();
  socket.on("drain", () => response.emit("drain"));
  response.on("finish", () => socket.destroySoon());
  response.on("close", () => socket.destroySoon());
  return response;
}

/**
 * Answers as if no upgrade had been asked for, as a server may (RFC 9110, 7.8): curl and Java ask for h2c with
 * every plain request. A body on it cannot be read any more.
 */
function decline(server: Server, request: IncomingMessage, socket: Socket): void {
  const response = responseTo(request, socket);
  if (!response) return;
  const hasBody = request.headers["content-length"] || request.headers["transfer-encoding"];
  if (isWebSocket(request) || hasBody) response.writeHead(404, { connection: "close" }).end();
  else server.emit("request", request, response);
}
