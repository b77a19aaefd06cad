import { type IncomingMessage, type RequestListener, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import cors from "cors";
import type { Server as Engine } from "engine.io";
import type { Refusal } from "./gate.ts";

/** Says why a request is turned away, if it is. */
export type Doorkeeper = (request: IncomingMessage) => Refusal | undefined;

/** Every origin that gets so far is allowed. Clients before 3.0 send cookies, if only a proxy's. */
const shareWithOrigin = cors({ origin: true, credentials: true });

/**
 * Gives an engine the requests and WebSockets of one path, as far as the doorkeeper lets them in, and leaves all
 * others to whoever had them. A WebSocket that nobody else listens for is refused at once.
 */
export function mount(engine: Engine, server: Server, path: string, refusalOf: Doorkeeper): void {
  const isOurs = ({ url = "" }: IncomingMessage) => url === path || url.startsWith(`${path}?`);
  const others = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    if (!isOurs(request)) {
      for (const listener of others) listener.call(server, request, response);
      return;
    }
    const refusal = refusalOf(request);
    if (refusal) refuse(response, refusal);
    else if (request.headers.origin === undefined) engine.handleRequest(request as EngineRequest, response);
    else shareWithOrigin(request, response, () => engine.handleRequest(request as EngineRequest, response));
  });
  server.on("upgrade", (request, socket, head) => {
    if (isOurs(request) && isWebSocket(request)) {
      const refusal = refusalOf(request);
      const response = refusal && responseTo(request, socket as Socket);
      if (response) refuse(response, refusal);
      else if (!refusal) engine.handleUpgrade(request as EngineRequest, socket, head);
    } else if (server.listenerCount("upgrade") === 1) decline(server, request, socket as Socket);
  });
}

type EngineRequest = Parameters<Engine["handleRequest"]>[0];

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
