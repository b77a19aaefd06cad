import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import { type RefusalCode, refusals } from "../errors.ts";
import type { Admission, ForeignPage, Refusal } from "../limits/admission.ts";
import type { Addresses } from "../net/address.ts";
import type { Engine } from "./engine.ts";
import { clientsOf, type EngineRequest } from "./internals.ts";
import { sessionOf } from "./session.ts";
import { mayUse } from "./session-guard.ts";

/** The parts that admission of sessions needs. */
export interface SessionAdmissionOptions {
  admission: Admission;
  addresses: Addresses;
  /** Whether a proxy may have replaced the `Host` header of requests. */
  isBehindProxy: boolean;
}

/**
 * Counts the sessions of an engine by address, from now on.
 *
 * @param onRefused called with the code for each session that is closed on arrival, or because it joined no
 * namespace
 */
export function countSessions(
  engine: Engine,
  { admission, addresses }: SessionAdmissionOptions,
  onRefused: (code: RefusalCode) => void,
): void {
  engine.on("connection", (connection) => {
    // A listener that the application added earlier may have closed the connection.
    if (connection.readyState === "closed") return;
    const session = sessionOf(connection);
    const request = session.request as unknown as IncomingMessage;
    const address = addresses.of(request);
    // Several requests may have been admitted before the first of them was counted.
    const refusal = admission.refusalOf(address);
    if (refusal) {
      onRefused(refusal.code);
      connection.close(true);
      return;
    }
    admission.enter(address);
    session.address = address;
    const origin = foreignOriginOf(request);
    if (origin === undefined) return;
    session.origin = origin;
    session.openedWithOrigin = true;
  });
  engine.onClose = ({ address, handshakes }, reason) => {
    // Without an address, the session was never counted.
    if (address === "") return;
    if (reason === "forced close" && handshakes === 0 && !admission.isClosed) onRefused("handshake_timeout");
    admission.leave(address);
  };
}

/** Decides from a client's request whether the client may start or continue a session. */
export class SessionAdmission {
  readonly #engine: Engine;
  readonly #options: SessionAdmissionOptions;

  constructor(engine: Engine, options: SessionAdmissionOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  /** The reason to refuse a request; undefined if the request is admitted. */
  refusalOf(request: EngineRequest): Refusal | undefined {
    const { admission, addresses } = this.#options;
    const page = foreignPageOf(request);
    const refusal = page && admission.refusalOfPage(page);
    if (refusal) return refusal;
    return request._query.sid ? this.#refusalOfSession(request) : admission.refusalOf(addresses.of(request));
  }

  #refusalOfSession(request: EngineRequest): Refusal | undefined {
    const { sid = "", EIO, j } = request._query;
    const clients = clientsOf(this.#engine);
    const connection = Object.hasOwn(clients, sid) ? clients[sid] : undefined;
    // Engine.IO itself refuses an unknown session id.
    if (!connection) return undefined;
    const isAllowed = mayUse(sessionOf(connection), connection, {
      address: this.#options.addresses.of(request),
      origin: foreignOriginOf(request),
      protocol: EIO === "4" ? 4 : 3,
      isUpgrade: request.headers.upgrade !== undefined,
      mayNameOriginLater: this.#options.isBehindProxy || j !== undefined,
    });
    return isAllowed ? undefined : foreignSession;
  }
}

/** The response is the same as Engine.IO's for an unknown session id. */
const foreignSession: Refusal = {
  code: "foreign_session",
  status: refusals.foreign_session,
  message: "The session is another client's, or has been upgraded already.",
  answer: { code: 1, message: "Session ID unknown" },
};

/**
 * The page that sent the request; undefined if it is a page of this server, or no page at all.
 *
 * Requests for images and scripts have no `Origin`, but browsers mark them as coming from another site (Fetch
 * Metadata). An Engine.IO 3 client that uses JSONP loads such scripts, and some browsers do not mark them.
 */
function foreignPageOf(request: EngineRequest): ForeignPage | undefined {
  const { origin, "sec-fetch-site": site } = request.headers;
  if (origin !== undefined) {
    const foreign = foreignOriginOf(request);
    return foreign === undefined ? undefined : { origin: foreign };
  }
  if (site === "cross-site" || site === "same-site") return { unnamed: site };
  return request._query.j === undefined ? undefined : { unnamed: "JSONP" };
}

/** The request's `Origin`; undefined if it is this server's own, or missing. */
function foreignOriginOf(request: IncomingMessage): string | undefined {
  const { origin } = request.headers;
  return origin === undefined || isOwnOrigin(request, origin) ? undefined : origin;
}

/** Whether an origin is this server's own. A page served over plain HTTP is not one of a server with TLS. */
function isOwnOrigin({ headers, socket }: IncomingMessage, origin: string): boolean {
  const [own, given] = [headers.host?.toLowerCase(), origin.toLowerCase()];
  // "null" means an opaque origin, even on a server whose host name is "null".
  if (!own || given === "null") return false;
  // socket.io-client 1.2.0 in Node sends its Host as Origin. Browsers never omit the scheme (RFC 6454, 6.2).
  if (given === own) return true;
  const [scheme, host] = given.split("://", 2);
  return host === own && (scheme === "https" || !(socket instanceof TLSSocket));
}
