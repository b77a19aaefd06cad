import type { Handshake } from "../namespaces/lifecycle.ts";
import type { SocketIOClient } from "./server.ts";

/** What a client says of itself: `auth` belongs to the namespace and wins over the query of the connection. */
export function handshakeOf({ handshake: { auth, query, url, headers } }: SocketIOClient): Handshake {
  // Engine.IO keeps the last of a key that is repeated; to read a long query twice is dear, so only then.
  const { userId, room } = /[?&](userId|room)=.*&\1=/.test(url) ? repeated(url) : query;
  const [, bearer] = headers.authorization?.match(/^Bearer +(\S+) *$/i) ?? [];
  return { userId: auth.userId ?? userId, room: auth.room ?? room, token: auth.token ?? bearer };
}

function repeated(url: string): Handshake {
  const query = new URL(url, "http://localhost").searchParams;
  const userIds = query.getAll("userId");
  return { userId: userIds.length > 1 ? userIds : userIds[0], room: query.getAll("room") };
}
