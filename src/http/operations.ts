import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Registry } from "prom-client";
import type { Health } from "../health.ts";

export interface OperationsOptions {
  metrics: Registry;
  health: Health;
  /** Answer only callers on this machine that came by no proxy. */
  loopbackOnly: boolean;
}

/** What an operator's programs ask: whether the process lives, whether it wants more, and what it counts. */
export async function operations(app: FastifyInstance, options: OperationsOptions): Promise<void> {
  const { metrics, health, loopbackOnly } = options;
  if (loopbackOnly) {
    app.addHook("onRequest", async (request, reply) => {
      if (isLocal(request)) return;
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

/** Whoever a proxy on this machine speaks for is not on this machine. */
function isLocal({ headers, raw }: FastifyRequest): boolean {
  if (headers["x-forwarded-for"] !== undefined || headers.forwarded !== undefined) return false;
  return /^(::ffff:)?127\.|^::1$/.test(raw.socket.remoteAddress ?? "");
}
