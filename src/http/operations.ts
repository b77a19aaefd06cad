import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Registry } from "prom-client";
import type { Health } from "../ops/health.ts";

export interface OperationsOptions {
  metrics: Registry;
  health: Pick<Health, "complaint">;
  /** Answer only callers on this machine that came by no proxy. */
  loopbackOnly: boolean;
}

/** What an operator's programs ask: whether the process lives, whether it wants more, and what it counts. */
export async function operations(app: FastifyInstance, options: OperationsOptions): Promise<void> {
  const { metrics, health, loopbackOnly } = options;
  if (loopbackOnly) {
    app.addHook("onRequest", async (request, reply) => {
      // The other routes hold nothing to be read, and checks by load balancers may name any host.
      if (isLocal(request) && (request.routeOptions.url !== "/metrics" || isLoopback(request.headers.host)))
        return;
      const message = "Served to this machine alone: give it a port of its own with --operations-port.";
      return reply.code(403).send({ message });
    });
  }
  app.get("/livez", () => ({ status: "ok" }));
  app.get("/healthz", () => ({ status: "ok" }));
  app.get("/readyz", (_request, reply) => {
    const { complaint } = health;
    return complaint ? reply.code(503).send({ status: "not ready", reason: complaint }) : { status: "ok" };
  });
  app.get("/metrics", (_request, reply) => {
    reply.type(metrics.contentType);
    return metrics.metrics();
  });
}

/** Whether a program on this machine asks for itself: not a proxy for somebody else, nor a browser for a foreign page. */
function isLocal({ headers, raw }: FastifyRequest): boolean {
  if (!/^(::ffff:)?127\.|^::1$/.test(raw.socket.remoteAddress ?? "")) return false;
  if (Object.keys(headers).some((name) => ofProxies.test(name))) return false;
  const { host, origin, "sec-fetch-site": site } = headers;
  if (origin !== undefined && origin.replace(/^https?:\/\//, "") !== host) return false;
  return site === undefined || site === "same-origin" || site === "none";
}

/** Headers that proxies, load balancers and CDNs add to tell whom they speak for, or that they are there. */
const ofProxies = new RegExp(
  [
    "^via$|^cdn-loop$|^max-forwards$|forwarded|x-original-|x-rewrite-",
    "(^|-|client|user)(ip|ipv4|ipv6|addr|address)$|^x-client-|^x-remote-|^x-host$|^x-scheme$|^x-varnish$",
    "^(x-)?(proxy|cf|fastly|akamai|envoy|amzn|amz|azure|appengine|google|arr|varnish|nginx|haproxy|sucuri|incap)-",
  ].join("|"),
);

/** Whether this is a host of loopback. A page whose name was made to resolve to it names its own (DNS rebinding). */
function isLoopback(host: string | undefined): boolean {
  return host === undefined || loopbackHost.test(host);
}

const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|\[::ffff:127(\.\d{1,3}){3}\])(:\d+)?$/i;
