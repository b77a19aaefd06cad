import { randomBytes } from "node:crypto";
import type { SocketIOClient } from "./server.ts";

/**
 * A new id by which others and the log may know a connection to a namespace: its socket id, except with Engine.IO 3.
 * There the socket id is made of the session id, and whoever knows that can act as the client.
 */
export function connectionIdOf({ id, conn }: SocketIOClient): string {
  return conn.protocol === 3 ? randomBytes(15).toString("base64url") : id;
}
