import type { Socket } from "engine.io";

/** Where a session's client connects from, as far as its requests show. */
export interface Source {
  /** The address as limits count it. */
  address: string;
  /** The page's foreign origin; undefined for this server's pages, programs, and browsers that send none. */
  origin?: string | undefined;
}

/** The source of a session's first request. */
export type GuardedSession = Source & {
  /** Set if that request named a foreign origin. */
  openedWithOrigin?: true;
};

type Upgradable = Pick<Socket, "readyState" | "transport" | "upgrading" | "upgraded">;

/** A later request that names an existing session. */
export interface SessionRequest extends Source {
  protocol: number;
  isUpgrade: boolean;
  /**
   * Whether the page's origin may first appear in a later request: a proxy may have replaced `Host`, or the
   * client uses JSONP, so that some requests name the origin and others do not.
   */
  mayNameOriginLater: boolean;
}

/**
 * Whether a request may use the session that it names. Knowing the session id is not enough: the request must
 * come from the same address and origin as the first one and use the same protocol version. A session can be
 * upgraded only once.
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
 * Whether a session may be upgraded to a WebSocket. Engine.IO does not mark a session that started as a
 * WebSocket as upgraded, so the transport is checked as well. Engine.IO's own check comes too late: it
 * completes the WebSocket handshake of every upgrade, however many the session has, and only then closes the
 * WebSocket.
 */
export function isUpgradable({ readyState, transport, upgrading, upgraded }: Upgradable): boolean {
  return readyState === "open" && transport.name === "polling" && !upgrading && !upgraded;
}

/** A dual-stack client may use either family, and an IPv4 address cannot be compared with an IPv6 network. */
function isSameAddress(first: string, later: string): boolean {
  return first === later || first.includes(":") !== later.includes(":");
}

/** Browsers omit `Origin` when a page polls its own server, but send it when the page posts or upgrades. */
function isSameOrigin(session: GuardedSession, { origin, mayNameOriginLater }: SessionRequest): boolean {
  if (origin === undefined) return !session.openedWithOrigin;
  if (session.origin === undefined && mayNameOriginLater) session.origin = origin;
  return origin === session.origin;
}
