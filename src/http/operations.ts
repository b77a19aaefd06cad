import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Registry } from "prom-client";
import type { Health } from "../ops/health.ts";

/** The options of {@link operations}. */
export interface OperationsOptions {
  metrics: Registry;
  health: Pick<Health, "problem">;
  /** Whether to answer only programs on this machine, and no requests through a proxy. */
  loopbackOnly: boolean;
}

/** Serves the liveness, readiness and metrics routes. */
export async function operations(app: FastifyInstance, options: OperationsOptions): Promise<void> {
  const { metrics, health, loopbackOnly } = options;
  if (loopbackOnly) {
    app.addHook("onRequest", async (request, reply) => {
      // Only the metrics need protection from DNS rebinding. Health checks of load balancers may send any
      // Host.
      if (isLocal(request) && (request.routeOptions.url !== "/metrics" || isLoopback(request.headers.host)))
        return;
      const message = "Served to this machine alone: give it a port of its own with --operations-port.";
      return reply.code(403).send({ message });
    });
  }
  app.get("/livez", () => ({ status: "ok" }));
  app.get("/healthz", () => ({ status: "ok" }));
  app.get("/readyz", (_request, reply) => {
    const { problem } = health;
    return problem ? reply.code(503).send({ status: "not ready", reason: problem }) : { status: "ok" };
  });
  app.get("/metrics", (_request, reply) => {
    reply.type(metrics.contentType);
    return metrics.metrics();
  });
}

/**
 * Whether a program on this machine sent the request: not a proxy, and not a browser for a page of another
 * site.
 */
function isLocal({ headers, raw }: FastifyRequest): boolean {
  if (!/^(::ffff:)?127\.|^::1$/.test(raw.socket.remoteAddress ?? "")) return false;
  if (Object.keys(headers).some((name) => proxyHeaders.test(name))) return false;
  const { host, origin, "sec-fetch-site": site } = headers;
  if (origin !== undefined && origin.replace(/^https?:\/\//, "") !== host) return false;
  return site === undefined || site === "same-origin" || site === "none";
}

/** Headers that proxies, load balancers and CDNs add to identify the client or themselves. */
const proxyHeaders = new RegExp(
  [
    "^via$|^cdn-loop$|^max-forwards$|forwarded|x-original-|x-rewrite-",
    "(^|-|client|user)(ip|ipv4|ipv6|addr|address)$|^x-client-|^x-remote-|^x-host$|^x-scheme$|^x-varnish$",
    "^(x-)?(proxy|cf|fastly|akamai|envoy|amzn|amz|azure|appengine|google|arr|varnish|nginx|haproxy|sucuri|incap)-",
  ].join("|"),
);

/**
 * Whether `Host` is a loopback host. In DNS rebinding it is not: the attacker's page sends its own host name.
 */
function isLoopback(host: string | undefined): boolean {
  return host === undefined || loopbackHost.test(host);
}

const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|\[::ffff:127(\.\d{1,3}){3}\])(:\d+)?$/i;
