import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { Engine } from "./engine.ts";

/**
 * Gives an engine the requests and upgrades of one path, and leaves all others to whoever had them. An
 * upgrade that nobody else listens for is refused at once.
 */
export function mount(engine: Engine, server: Server, path: string): void {
  const isOurs = ({ url = "" }: IncomingMessage) => url === path || url.startsWith(`${path}?`);
  const others = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on("request", (request, response) => {
    if (isOurs(request)) engine.handleRequest(request as EngineRequest, response);
    else for (const listener of others) listener.call(server, request, response);
  });
  server.on("upgrade", (request, socket, head) => {
    if (isOurs(request)) return engine.handleUpgrade(request as EngineRequest, socket, head);
    if (server.listenerCount("upgrade") > 1) return;
    // Without a listener, a connection reset in this moment would end the process.
    socket.on("error", () => socket.destroy());
    socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  });
}

type EngineRequest = Parameters<Engine["handleRequest"]>[0];
