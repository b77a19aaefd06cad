import { type RefusalCode, refusals } from "../errors.ts";
import { Counts } from "./numbers.ts";

export interface AdmissionOptions {
  /** Web origins whose pages may connect, beside the server's own. */
  origins: readonly string[];
  maxConnections: number;
  maxConnectionsPerAddress: number;
}

/** Why a new connection is refused, and when to come again. */
export interface Refusal {
  code: RefusalCode;
  /** Of HTTP. */
  status: number;
  message: string;
  retryAfterSeconds?: number;
  /** The body of the answer; `{ code, message }` where not given. */
  answer?: object;
}

/** A page that this server has not served: its origin, or how it is known to be foreign although it names none. */
export type ForeignPage = { origin: string } | { unnamed: "cross-site" | "same-site" | "JSONP" };

const retryAfterSeconds = 5;

/** How much of what a client says of itself is repeated to it, and to the log, in characters. */
const maxQuotedChars = 128;

/** Decides whether one more session may begin, whichever gateway it comes through. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #isClosed: () => boolean;
  readonly #counts = new Counts();
  #sessions = 0;

  /** @param isClosed whether the server is about to stop */
  constructor(options: AdmissionOptions, isClosed: () => boolean) {
    this.#options = options;
    this.#isClosed = isClosed;
  }

  /** Whether the server is about to stop. */
  get isClosed(): boolean {
    return this.#isClosed();
  }

  get isFull(): boolean {
    return this.#sessions >= this.#options.maxConnections;
  }

  /** Why a page of another site may not connect; undefined if it may. */
  refusalOfPage(page: ForeignPage): Refusal | undefined {
    const { origins } = this.#options;
    if ("origin" in page ? originIn(origins, page.origin) : origins.includes("*")) return undefined;
    return refused(
      "origin_not_allowed",
      `The origin ${described(page)} may not connect: --origins does not list it.`,
    );
  }

  /** Why no session may begin from an address; undefined if one may. */
  refusalOf(address: string): Refusal | undefined {
    const { maxConnections, maxConnectionsPerAddress } = this.#options;
    if (this.#isClosed()) return refused("draining", "The server is about to stop.");
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

  /** A session has begun. */
  enter(address: string): void {
    this.#sessions++;
    this.#counts.add(address);
  }

  /** A session has ended. */
  leave(address: string): void {
    this.#sessions--;
    this.#counts.remove(address);
  }
}

function described(page: ForeignPage): string {
  if ("origin" in page) return page.origin.slice(0, maxQuotedChars);
  return page.unnamed === "JSONP" ? "of JSONP" : `that is ${page.unnamed} and unnamed`;
}

/** Whether an origin is in a list of exact ones, of `https://*.example.com` for any below it, or of `*` for all. */
export function originIn(list: readonly string[], origin: string): boolean {
  return list.some((allowed) => {
    const [before, after] = allowed.toLowerCase().split("*.", 2) as [string, string | undefined];
    if (allowed === "*" || after === undefined) return allowed === "*" || before === origin.toLowerCase();
    const below = origin.toLowerCase();
    return (
      below.startsWith(before) &&
      below.endsWith(`.${after}`) &&
      below.length > before.length + after.length + 1
    );
  });
}

function refused(code: RefusalCode, message: string): Refusal {
  const status = refusals[code];
  return status === 403 ? { code, status, message } : { code, status, message, retryAfterSeconds };
}
