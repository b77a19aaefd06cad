import { randomBytes } from "node:crypto";
import type { SocketIOClient } from "./server.ts";

/**
 * The public id of a connection, for other clients and the log: its socket id, except with Engine.IO 3. There
 * the socket id contains the session id, which would let anyone act as the client, so the server makes a new
 * id.
 */
export function connectionIdOf({ id, conn }: SocketIOClient): string {
  return conn.protocol === 3 ? randomBytes(15).toString("base64url") : id;
}
