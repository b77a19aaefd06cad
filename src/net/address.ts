import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import proxyAddr from "@fastify/proxy-addr";
import ipaddr from "ipaddr.js";

/** What the peers of a Unix socket are called: they have no address. */
const unixPeer = "unix";

/** Of what a proxy calls a client, in characters. */
const longestAddress = 64;

/** Tells the address that a connection or a request counts for. */
export class Addresses {
  /** Undefined where no proxy is trusted. */
  readonly #isTrusted: ((address: string | undefined, hop: number) => boolean) | undefined;

  /**
   * @param trustProxy proxies whose `X-Forwarded-For` is believed: addresses, networks, or names that proxy-addr
   * knows. `loopback` covers Unix sockets too, whose peers are on this machine.
   */
  constructor(trustProxy: readonly string[]) {
    if (trustProxy.length === 0) return;
    const trusts = proxyAddr.compile([...trustProxy]);
    const trustsUnix = trustProxy.includes("loopback");
    this.#isTrusted = (address, hop) => (address === undefined ? trustsUnix : trusts(address, hop));
  }

  /** The client's address as far as proxies are trusted. */
  of(request: IncomingMessage): string {
    return this.#isTrusted ? networkOf(proxyAddr(request, this.#isTrusted)) : this.ofPeer(request.socket);
  }

  /** The address of whoever has opened a connection, be it a proxy. */
  ofPeer({ remoteAddress }: Socket): string {
    return networkOf(remoteAddress);
  }

  /** Whether one peer may open connections for many clients: a trusted proxy, and any on a Unix socket. */
  trusts({ remoteAddress }: Socket): boolean {
    return remoteAddress === undefined || this.#isTrusted?.(remoteAddress, 0) === true;
  }
}

/** An address without its port; of IPv6 the network of 64 bits, which is what one customer is given (RFC 6177). */
function networkOf(address: string | undefined): string {
  if (address === undefined) return unixPeer;
  if (!address.includes(":")) return address.slice(0, longestAddress);
  // Some proxies tell the port too: 192.0.2.1:4711, [2001:db8::1]:4711.
  const bare = address.replace(/^\[([^\]]+)\](:\d+)?$|^([\d.]+):\d+$/, "$1$3");
  if (!bare.includes(":") || !ipaddr.isValid(bare)) return bare.slice(0, longestAddress);
  const parsed = ipaddr.process(bare);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return `${parsed.toNormalizedString().split(":").slice(0, 4).join(":")}::/64`;
}
