import { type Agent, request } from "node:http";
import { text } from "node:stream/consumers";

/** The two versions of Engine.IO's protocol. */
export type Version = 3 | 4;

interface Request {
  method?: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
}

/** The bytes of an HTTP/1.1 request, with a Content-Length if it has a body. */
export function httpRequest(target: string, { method = "GET", headers = {}, body }: Request = {}): Buffer {
  const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const all = { host: "127.0.0.1", ...length, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`, "latin1");
  return body === undefined ? head : Buffer.concat([head, Buffer.from(body as string)]);
}

/** The path at which Engine.IO listens, with its query. */
export function enginePath(version: Version, transport: "polling" | "websocket", ...query: string[]): string {
  return `/socket.io/?${[`EIO=${version}`, `transport=${transport}`, ...query].join("&")}`;
}

const upgradeHeaders = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** The request that opens a WebSocket (RFC 6455, 4.1). */
export function upgradeRequest(target: string, headers: Record<string, string> = {}): Buffer {
  return httpRequest(target, { headers: { ...upgradeHeaders, ...headers } });
}

interface Exchange {
  method?: string;
  headers?: Record<string, string>;
  body?: Buffer | string;
  /** By default the connection is closed after the response, which `fetch` does not support. */
  agent?: Agent;
  signal?: AbortSignal;
}

/** Sends a request and resolves with its response; the status is 0 if none arrived. */
export function exchange(
  url: string,
  { body, ...options }: Exchange = {},
): Promise<{ status: number; body: string }> {
  return new Promise((resolve) => {
    const fail = () => resolve({ status: 0, body: "" });
    const outgoing = request(url, { agent: false, ...options }, async (response) => {
      const body = await text(response).catch(() => undefined);
      if (body === undefined) fail();
      else resolve({ status: response.statusCode ?? 0, body });
    });
    outgoing.on("error", fail);
    outgoing.end(body);
  });
}
