import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import proxyAddr from "@fastify/proxy-addr";
import type { Server as Engine, Socket } from "engine.io";
import ipaddr from "ipaddr.js";
import { type RefusalCode, refusals } from "../errors.ts";
import type { Health } from "../health.ts";
import { Counts, originIn } from "../limits.ts";
import { clientsOf } from "./internals.ts";
import { queryOf } from "./request.ts";
import { type GuardedSession, mayUse } from "./session-guard.ts";

/** An Engine.IO session, and whom it counts for. */
export type Visitor = GuardedSession &
  Pick<Socket, "request" | "on" | "close"> & {
    /** How often it has come to a namespace; the meter counts that. */
    arrivals?: number;
  };

export interface GateOptions {
  /** Web origins whose pages may connect, beside the server's own. */
  origins: readonly string[];
  /** Proxies whose `X-Forwarded-For` is believed: addresses, networks, or names that proxy-addr knows. */
  trustProxy: string[];
  maxConnections: number;
  maxConnectionsPerAddress: number;
}

/** Why a request is turned away, and when to come again. */
export interface Refusal {
  code: RefusalCode;
  status: number;
  message: string;
  retryAfterSeconds?: number;
  /** The body of the answer; `{ code, message }` where not given. */
  answer?: object;
}

const retryAfterSeconds = 5;

/** How much of what a client says of itself is repeated to it, and to the log, in characters. */
const longestTold = 128;

/** Decides by its request alone whether a client may begin, or go on with, a session. */
export class Gate {
  readonly #options: GateOptions;
  readonly #health: Health;
  readonly #trusts: ReturnType<typeof proxyAddr.compile>;
  readonly #addresses = new Counts();
  #sessions = 0;
  /** The sessions of the engine by their ids; empty until it is watched. */
  #byId: Readonly<Record<string, Visitor>> = {};

  constructor(options: GateOptions, health: Health) {
    this.#options = options;
    this.#health = health;
    this.#trusts = proxyAddr.compile(options.trustProxy);
    health.heed(() =>
      this.#sessions >= options.maxConnections ? "as many connections as there may be" : undefined,
    );
  }

  /** Why this request is turned away; undefined if it is not. */
  refusal(request: IncomingMessage): Refusal | undefined {
    const { origins } = this.#options;
    const foreign = originOf(request);
    if (foreign !== undefined && !originIn(origins, foreign)) {
      const what = foreign.slice(0, longestTold);
      return refused("origin_not_allowed", `The origin ${what} may not connect: --origins does not list it.`);
    }
    // The decoded query decides, as in the engine: a name may be percent-encoded.
    const query = queryOf(request.url);
    return query.sid ? this.#ofSession(query, request) : this.#newSession(request);
  }

  #ofSession(query: Record<string, string>, request: IncomingMessage): Refusal | undefined {
    const { sid = "", EIO, j } = query;
    const session = Object.hasOwn(this.#byId, sid) ? this.#byId[sid] : undefined;
    // Engine.IO refuses an unknown id itself.
    if (!session) return undefined;
    const isAllowed = mayUse(session, {
      address: this.addressOf(request),
      origin: foreignOriginOf(request),
      protocol: EIO === "4" ? 4 : 3,
      isUpgrade: request.headers.upgrade !== undefined,
      mayNameOriginLater: this.#options.trustProxy.length > 0 || j !== undefined,
    });
    return isAllowed ? undefined : foreignSession;
  }

  #newSession(request: IncomingMessage): Refusal | undefined {
    const { maxConnections, maxConnectionsPerAddress } = this.#options;
    if (this.#health.closed) return refused("draining", "The server is about to stop.");
    if (this.#sessions >= maxConnections)
      return refused(
        "server_full",
        `The server has ${maxConnections} connections, as many as --max-connections allows.`,
      );
    if (this.#addresses.of(this.addressOf(request)) >= maxConnectionsPerAddress)
      return refused(
        "too_many_connections",
        `One address may have ${maxConnectionsPerAddress} connections: see --max-connections-per-address, and --trust-proxy if a proxy stands between.`,
      );
    return undefined;
  }

  /**
   * Counts the sessions of an engine, by their addresses.
   *
   * @param refuse hears why, of each that was closed as it came, or since it came to no namespace
   */
  watch(engine: Engine, refuse: (code: RefusalCode) => void): void {
    const gate = this;
    this.#byId = clientsOf(engine) as unknown as Record<string, Visitor>;
    engine.on("connection", (visitor: Visitor) => {
      visitor.address = this.addressOf(visitor.request);
      visitor.origin = foreignOriginOf(visitor.request);
      visitor.beganUnnamed = visitor.origin === undefined;
      this.#sessions++;
      this.#addresses.add(visitor.address);
      // Several may have asked before the first of them was counted.
      const { maxConnections, maxConnectionsPerAddress } = this.#options;
      const isOneTooMany = this.#addresses.of(visitor.address) > maxConnectionsPerAddress;
      if (isOneTooMany || this.#sessions > maxConnections) {
        refuse(isOneTooMany ? "too_many_connections" : "server_full");
        forget(visitor);
        visitor.close(true);
        return;
      }
      visitor.on("close", left);
    });

    const forget = ({ address }: Visitor) => {
      this.#sessions--;
      this.#addresses.remove(address);
    };

    /** One listener for all, told who by `this`. */
    function left(this: Visitor, reason: string): void {
      if (reason === "forced close" && !this.arrivals && !gate.#health.closed) refuse("handshake_timeout");
      forget(this);
    }
  }

  /**
   * Whom a request counts for: the client's address as far as proxies are trusted. IPv6 counts by the network of
   * 64 bits, which is what one customer is given (RFC 6177).
   */
  addressOf(request: IncomingMessage): string {
    const address =
      this.#options.trustProxy.length > 0 ? proxyAddr(request, this.#trusts) : request.socket.remoteAddress;
    // Some proxies tell the port too: 192.0.2.1:4711, [2001:db8::1]:4711.
    const bare = address?.replace(/^\[([^\]]+)\](:\d+)?$|^([\d.]+):\d+$/, "$1$3") ?? "";
    if (!bare.includes(":") || !ipaddr.isValid(bare)) return bare.slice(0, 64);
    const parsed = ipaddr.process(bare);
    if (parsed.kind() === "ipv4") return parsed.toString();
    return `${parsed.toNormalizedString().split(":").slice(0, 4).join(":")}::/64`;
  }
}

/** Answered as Engine.IO answers an unknown session id. */
const foreignSession: Refusal = {
  code: "foreign_session",
  status: refusals.foreign_session,
  message: "The session is another client's, or has been upgraded already.",
  answer: { code: 1, message: "Session ID unknown" },
};

function refused(code: RefusalCode, message: string): Refusal {
  const status = refusals[code];
  return status === 403 ? { code, status, message } : { code, status, message, retryAfterSeconds };
}

/**
 * The origin of the page that asks; undefined where it is a page of this server, or no page.
 *
 * An image or a script says no origin, but browsers say that it is for another site (Fetch Metadata). By JSONP an
 * Engine.IO 3 client is such a script, and in some browsers says nothing.
 */
function originOf(request: IncomingMessage): string | undefined {
  const { origin, "sec-fetch-site": site } = request.headers;
  if (origin !== undefined) return foreignOriginOf(request);
  if (site === "cross-site" || site === "same-site") return `that is ${site} and unnamed`;
  return /[?&]j=/.test(request.url ?? "") ? "of JSONP" : undefined;
}

/** The request's `Origin`; undefined where it is this server's own, or left out. */
function foreignOriginOf(request: IncomingMessage): string | undefined {
  const { origin } = request.headers;
  return origin === undefined || isOwnOrigin(request, origin) ? undefined : origin;
}

/** Whether a page of this very server asks; a page served in the clear is not that of a server with TLS. */
function isOwnOrigin({ headers, socket }: IncomingMessage, origin: string): boolean {
  const [scheme, host] = origin.toLowerCase().split("://", 2);
  if (socket instanceof TLSSocket && scheme !== "https") return false;
  return headers.host !== undefined && host === headers.host.toLowerCase();
}
