import { type IncomingMessage, type RequestListener, type Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Server as Engine } from "engine.io";

/**
 * Gives an engine the requests and WebSockets of one path, and leaves all others to whoever had them. A
 * WebSocket that nobody else listens for is refused at once.
 */
export function mount(engine: Engine, server: Server, path: string): void {
  const isOurs = ({ url = "" }: IncomingMessage) => url === path || url.startsWith(`${path}?`);
  const others = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    // On a connection that is still open while the server closes, no new session may begin.
    if (isOurs(request) && !server.listening && !request.url?.includes("sid=")) {
      response.writeHead(503, { connection: "close" }).end();
    } else if (isOurs(request)) engine.handleRequest(request as EngineRequest, response);
    else for (const listener of others) listener.call(server, request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    if (isOurs(request) && isWebSocket(request)) engine.handleUpgrade(request as EngineRequest, socket, head);
    else if (server.listenerCount("upgrade") === 1) decline(server, request, socket as Socket);
  });
}

type EngineRequest = Parameters<Engine["handleRequest"]>[0];

const isWebSocket = ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === "websocket";

/**
 * Answers as if no upgrade had been asked for, as a server may (RFC 9110, 7.8): curl and Java ask for h2c with
 * every plain request. Node has let go of the connection by now, so it ends with the answer, and a body on it
 * cannot be read.
 */
function decline(server: Server, request: IncomingMessage, socket: Socket): void {
  // Without a listener, a connection reset in this moment would end the process.
  socket.on("error", () => socket.destroy());
  const hasBody = request.headers["content-length"] || request.headers["transfer-encoding"];
  if (isWebSocket(request) || hasBody) {
    socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    return;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.on("finish", () => socket.end());
  server.emit("request", request, response);
}
