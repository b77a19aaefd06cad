import { isIP } from "node:net";
import proxyAddr from "@fastify/proxy-addr";

const proxyNames = new Set(["loopback", "linklocal", "uniquelocal"]);

/**
 * Whether this is a valid entry of `--trust-proxy`: a full address, a network, or the name of several
 * networks.
 */
export function isProxy(proxy: string): boolean {
  if (proxyNames.has(proxy)) return true;
  if (isIP(proxy.replace(/\/.*$/s, "")) === 0) return false;
  try {
    proxyAddr.compile([proxy]);
    return true;
  } catch {
    return false;
  }
}

/** Whether this is the URL of a Redis server, with a number of a database at most. */
export function isRedisUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, pathname, search, hash, username, password } = new URL(url);
  if (!/^rediss?:$/.test(protocol) || hostname === "" || !/^(\/\d*)?$/.test(pathname)) return false;
  // With an unescaped ? or # in the password, the rest of it is here, and its begin is the port, which is logged.
  if (search !== "" || hash !== "") return false;
  try {
    decodeURIComponent(username + password);
    return true;
  } catch {
    return false;
  }
}

/** Whether this is a valid source of keys: an http or https URL without a password, or a path. */
export function isKeySource(source: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return source.trim() !== "";
  if (!URL.canParse(source)) return false;
  const { protocol, username, password } = new URL(source);
  return /^https?:$/.test(protocol) && !username && !password;
}
