import { errors, maxQuotedChars, type RefusalCode, refusals } from "../errors.ts";
import { Counts } from "./counts.ts";

/** Limits on who may connect, and on the number of connections. */
export interface AdmissionOptions {
  /** Web origins whose pages may connect, in addition to the server's own. */
  origins: readonly string[];
  maxConnections: number;
  maxConnectionsPerAddress: number;
}

/** Why a new connection is refused, and when the client may retry. */
export interface Refusal {
  code: RefusalCode;
  /** HTTP status code. */
  status: number;
  message: string;
  retryAfterSeconds?: number;
  /** The response body; `{ code, message }` by default. */
  answer?: object;
}

/** A page that this server did not serve: its origin or, if it names none, the sign that it is foreign. */
export type ForeignPage = { origin: string } | { unnamed: "cross-site" | "same-site" | "JSONP" };

const retryAfterSeconds = 5;

/** Decides whether one more session may start, on any gateway. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #isClosed: () => boolean;
  readonly #isUnavailable: () => boolean;
  readonly #counts = new Counts();
  #sessions = 0;

  /**
   * @param isClosed whether the server is about to stop
   * @param isUnavailable whether the server cannot reach its store
   */
  constructor(options: AdmissionOptions, isClosed: () => boolean, isUnavailable: () => boolean) {
    this.#options = options;
    this.#isClosed = isClosed;
    this.#isUnavailable = isUnavailable;
  }

  /** Whether the server is about to stop. */
  get isClosed(): boolean {
    return this.#isClosed();
  }

  get isFull(): boolean {
    return this.#sessions >= this.#options.maxConnections;
  }

  /** The reason to refuse a page of another site; undefined if the page may connect. */
  refusalOfPage(page: ForeignPage): Refusal | undefined {
    const { origins } = this.#options;
    if ("origin" in page ? originIn(origins, page.origin) : origins.includes("*")) return undefined;
    return refused(
      "origin_not_allowed",
      `The origin ${described(page)} may not connect: --origins does not list it.`,
    );
  }

  /** The reason to refuse a new session from an address; undefined if a session may start. */
  refusalOf(address: string): Refusal | undefined {
    const { maxConnections, maxConnectionsPerAddress } = this.#options;
    if (this.#isClosed()) return refused("draining", "The server is about to stop.");
    if (this.#isUnavailable()) return refused("unavailable", errors.unavailable);
    if (this.isFull)
      return refused(
        "server_full",
        `The server has ${maxConnections} connections, as many as --max-connections allows.`,
      );
    if (this.#counts.of(address) >= maxConnectionsPerAddress)
      return refused(
        "too_many_connections",
        `One address may have ${maxConnectionsPerAddress} connections: see --max-connections-per-address, and --trust-proxy if a proxy stands between.`,
      );
    return undefined;
  }

  /** Counts a session that has started. */
  enter(address: string): void {
    this.#sessions++;
    this.#counts.add(address);
  }

  /** Stops counting a session that has ended. */
  leave(address: string): void {
    this.#sessions--;
    this.#counts.remove(address);
  }
}

function described(page: ForeignPage): string {
  if ("origin" in page) return page.origin.slice(0, maxQuotedChars);
  return page.unnamed === "JSONP" ? "of JSONP" : `that is ${page.unnamed} and unnamed`;
}

/** Whether a list allows an origin: entries are exact, `https://*.example.com` for subdomains, or `*`. */
export function originIn(list: readonly string[], origin: string): boolean {
  return list.some((allowed) => {
    const [prefix, suffix] = allowed.toLowerCase().split("*.", 2) as [string, string | undefined];
    if (allowed === "*" || suffix === undefined) return allowed === "*" || prefix === origin.toLowerCase();
    const given = origin.toLowerCase();
    return (
      given.startsWith(prefix) &&
      given.endsWith(`.${suffix}`) &&
      given.length > prefix.length + suffix.length + 1
    );
  });
}

function refused(code: RefusalCode, message: string): Refusal {
  const status = refusals[code];
  return status === 403 ? { code, status, message } : { code, status, message, retryAfterSeconds };
}
