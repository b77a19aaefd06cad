import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { Socket } from "engine.io";
import { type RefusalCode, refusals } from "../errors.ts";
import { Counts, originIn } from "../limits/numbers.ts";
import type { Addresses } from "../net/address.ts";
import type { Health } from "../ops/health.ts";
import type { Engine } from "./engine.ts";
import { clientsOf, type EngineRequest } from "./internals.ts";
import type { ReducedRequest } from "./reduced-request.ts";
import { type GuardedSession, mayUse } from "./session-guard.ts";

/** An Engine.IO session, and whom it counts for. */
export type Visitor = GuardedSession &
  Pick<Socket, "readyState" | "request" | "close"> & {
    /** Of the request that began it; its own is in the hands of the application. */
    savedRequest?: ReducedRequest | undefined;
    /** How often it has come to a namespace; the meter counts that. */
    arrivals?: number;
  };

export interface GateOptions {
  /** Web origins whose pages may connect, beside the server's own. */
  origins: readonly string[];
  /** Proxies whose `X-Forwarded-For` is believed. */
  trustProxy: readonly string[];
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

type Refuse = (code: RefusalCode) => void;

const retryAfterSeconds = 5;

/** How much of what a client says of itself is repeated to it, and to the log, in characters. */
const longestTold = 128;

/** Decides by its request alone whether a client may begin, or go on with, a session. */
export class Gate {
  readonly #options: GateOptions;
  readonly #health: Health;
  readonly #addresses: Addresses;
  readonly #counts = new Counts();
  #sessions = 0;
  /** The sessions of the engine by their ids; empty until it is watched. */
  #byId: Readonly<Record<string, Visitor>> = {};

  constructor(options: GateOptions, addresses: Addresses, health: Health) {
    this.#options = options;
    this.#addresses = addresses;
    this.#health = health;
    health.heed(() =>
      this.#sessions >= options.maxConnections ? "as many connections as there may be" : undefined,
    );
  }

  /** Why this request is turned away; undefined if it is not. */
  refusal(request: EngineRequest): Refusal | undefined {
    const { origins } = this.#options;
    const foreign = originOf(request);
    if (foreign !== undefined && !originIn(origins, foreign)) {
      const what = foreign.slice(0, longestTold);
      return refused("origin_not_allowed", `The origin ${what} may not connect: --origins does not list it.`);
    }
    return request._query.sid ? this.#ofSession(request) : this.#newSession(request);
  }

  #ofSession(request: EngineRequest): Refusal | undefined {
    const { sid = "", EIO, j } = request._query;
    const session = Object.hasOwn(this.#byId, sid) ? this.#byId[sid] : undefined;
    // Engine.IO refuses an unknown id itself.
    if (!session) return undefined;
    const isAllowed = mayUse(session, {
      address: this.#addresses.of(request),
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
    if (this.#counts.of(this.#addresses.of(request)) >= maxConnectionsPerAddress)
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
  watch(engine: Engine, refuse: Refuse): void {
    this.#byId = clientsOf(engine) as unknown as Record<string, Visitor>;
    engine.on("connection", (visitor: Visitor) => {
      // An application that listens before us may have closed it.
      if (visitor.readyState === "closed") return;
      const request = (visitor.savedRequest ?? visitor.request) as IncomingMessage;
      const address = this.#addresses.of(request);
      // Several may have asked before the first of them was counted.
      const isOneTooMany = this.#counts.of(address) >= this.#options.maxConnectionsPerAddress;
      if (isOneTooMany || this.#sessions >= this.#options.maxConnections) {
        refuse(isOneTooMany ? "too_many_connections" : "server_full");
        visitor.close(true);
        return;
      }
      this.#sessions++;
      this.#counts.add(address);
      visitor.address = address;
      visitor.origin = foreignOriginOf(request);
      visitor.beganUnnamed = visitor.origin === undefined;
    });
    engine.onClose = (session, reason) => {
      const { address, arrivals } = session as Partial<Visitor>;
      // It was not counted.
      if (address === undefined) return;
      if (reason === "forced close" && !arrivals && !this.#health.closed) refuse("handshake_timeout");
      this.#sessions--;
      this.#counts.remove(address);
    };
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
function originOf(request: EngineRequest): string | undefined {
  const { origin, "sec-fetch-site": site } = request.headers;
  if (origin !== undefined) return foreignOriginOf(request);
  if (site === "cross-site" || site === "same-site") return `that is ${site} and unnamed`;
  return request._query.j === undefined ? undefined : "of JSONP";
}

/** The request's `Origin`; undefined where it is this server's own, or left out. */
function foreignOriginOf(request: IncomingMessage): string | undefined {
  const { origin } = request.headers;
  return origin === undefined || isOwnOrigin(request, origin) ? undefined : origin;
}

/** Whether a page of this very server asks; a page served in the clear is not that of a server with TLS. */
function isOwnOrigin({ headers, socket }: IncomingMessage, origin: string): boolean {
  const [own, given] = [headers.host?.toLowerCase(), origin.toLowerCase()];
  // "null" stands for an opaque origin, also where a server is called so.
  if (!own || given === "null") return false;
  // socket.io-client 1.2.0 in Node sends its Host as its Origin. No browser leaves out the scheme (RFC 6454, 6.2).
  if (given === own) return true;
  const [scheme, host] = given.split("://", 2);
  return host === own && (scheme === "https" || !(socket instanceof TLSSocket));
}
