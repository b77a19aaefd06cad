import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import proxyAddr from "@fastify/proxy-addr";
import ipaddr from "ipaddr.js";

/** Stands for the address of peers on a Unix socket, which have none. */
const unixPeer = "unix";

/** A client's address as reported by a proxy is cut to this many characters. */
const maxAddressChars = 64;

/** Determines the address that a connection or a request counts for. */
export class Addresses {
  /** Undefined if no proxy is trusted. */
  readonly #isTrusted: ((address: string | undefined, hop: number) => boolean) | undefined;

  /**
   * @param trustProxy proxies whose `X-Forwarded-For` is trusted: addresses, networks, or names that
   * proxy-addr knows. `loopback` also covers Unix sockets, whose peers are on this machine.
   */
  constructor(trustProxy: readonly string[]) {
    if (trustProxy.length === 0) return;
    const trusts = proxyAddr.compile([...trustProxy]);
    const trustsUnix = trustProxy.includes("loopback");
    this.#isTrusted = (address, hop) => (address === undefined ? trustsUnix : trusts(address, hop));
  }

  /** The client's address, as reported by trusted proxies. */
  of(request: IncomingMessage): string {
    return this.#isTrusted ? networkOf(proxyAddr(request, this.#isTrusted)) : this.ofPeer(request.socket);
  }

  /** The address of the peer that opened a connection, which may be a proxy. */
  ofPeer({ remoteAddress }: Socket): string {
    return networkOf(remoteAddress);
  }

  /** Whether a peer may open connections for many clients: a trusted proxy, or any peer on a Unix socket. */
  trusts({ remoteAddress }: Socket): boolean {
    return remoteAddress === undefined || this.#isTrusted?.(remoteAddress, 0) === true;
  }
}

/** An address without its port; for IPv6 the /64 network, which is what one customer is given (RFC 6177). */
function networkOf(address: string | undefined): string {
  if (address === undefined) return unixPeer;
  if (!address.includes(":")) return address.slice(0, maxAddressChars);
  // Some proxies include the port: 192.0.2.1:4711, [2001:db8::1]:4711.
  const bare = address.replace(/^\[([^\]]+)\](:\d+)?$|^([\d.]+):\d+$/, "$1$3");
  if (!bare.includes(":") || !ipaddr.isValid(bare)) return bare.slice(0, maxAddressChars);
  const parsed = ipaddr.process(bare);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return `${parsed.toNormalizedString().split(":").slice(0, 4).join(":")}::/64`;
}
