import type { Socket } from "engine.io";

/** Where the client of a session is, as far as its requests show. */
export interface Source {
  /** The address as limits count it. */
  address: string;
  /** The foreign origin of its page; undefined for a page of this server, a program, or a browser that sends none. */
  origin?: string | undefined;
}

/** Where a session's first request came from. */
export type GuardedSession = Source & {
  /** It named a foreign origin. */
  beganNamed?: true;
};

type Upgradable = Pick<Socket, "readyState" | "transport" | "upgrading" | "upgraded">;

/** A later request that names the session. */
export interface SessionRequest extends Source {
  protocol: number;
  isUpgrade: boolean;
  /** A proxy may have replaced `Host`, or JSONP is used: the page's own origin may then be named, or not, at will. */
  mayNameOriginLater: boolean;
}

/**
 * Whether a request may use the session that it names. The session id alone is no proof: the request must come from
 * the same address and origin as the first one, with the same protocol version, and may upgrade it only once.
 */
export function mayUse(
  session: GuardedSession,
  connection: Upgradable & Pick<Socket, "protocol">,
  request: SessionRequest,
): boolean {
  if (request.isUpgrade && !isUpgradable(connection)) return false;
  if (request.protocol !== connection.protocol) return false;
  return isSameAddress(session.address, request.address) && isSameOrigin(session, request);
}

/**
 * Whether a session may be upgraded to a WebSocket. One that began as a WebSocket is not marked as upgraded. Engine.IO
 * looks at that too late: it makes a WebSocket of each upgrade, however many its session has, and then closes it.
 */
export function isUpgradable({ readyState, transport, upgrading, upgraded }: Upgradable): boolean {
  return readyState === "open" && transport.name === "polling" && !upgrading && !upgraded;
}

/** A host with both families may use either: an IPv4 address cannot be compared with an IPv6 network. */
function isSameAddress(one: string, other: string): boolean {
  return one === other || one.includes(":") !== other.includes(":");
}

/** Browsers send no `Origin` when a page polls its own server, but send it when the page posts or upgrades. */
function isSameOrigin(session: GuardedSession, { origin, mayNameOriginLater }: SessionRequest): boolean {
  if (origin === undefined) return !session.beganNamed;
  if (session.origin === undefined && mayNameOriginLater) session.origin = origin;
  return origin === session.origin;
}
