import type { FastifyInstance } from "fastify";
import type { Core } from "../core.ts";
import type { Engine } from "../engineio/engine.ts";
import type { EngineRequest } from "../engineio/internals.ts";
import { mount } from "../engineio/mount.ts";
import { countSessions, SessionAdmission } from "../engineio/session-admission.ts";
import type { RefusalCode } from "../errors.ts";
import { Addresses } from "../net/address.ts";
import { answerTimeMs } from "../net/answer-time.ts";
import { useOneLocalhostAddress } from "../net/localhost.ts";
import { limitTcpConnections, tcpConnectionsFor } from "../net/tcp-limit.ts";
import { clientFiles } from "./client-files.ts";

const path = "/socket.io/";

export interface AttachOptions {
  core: Core;
  /** Proxies whose `X-Forwarded-For` header is trusted. */
  trustProxy: readonly string[];
  maxConnectionsPerAddress: number;
  sendQueueAgeMs: number;
}

/**
 * Serves an engine, and the files of the browser client, below `/socket.io/` on the HTTP server of an app. Requests
 * and TCP connections beyond the limits are refused, counted and logged.
 */
export async function attach(engine: Engine, app: FastifyInstance, options: AttachOptions): Promise<void> {
  const { admission, metrics, log } = options.core;
  const addresses = new Addresses(options.trustProxy);
  const refuse = (code: RefusalCode) => metrics.refusals.add([code]);
  const admissionOptions = { admission, addresses, isBehindProxy: options.trustProxy.length > 0 };
  const sessionAdmission = new SessionAdmission(engine, admissionOptions);
  countSessions(engine, admissionOptions, refuse);
  countLateHandshakes(app, () => refuse("handshake_timeout"));

  for (const reason of ["too many connections", "pipelined"]) metrics.tcpClosed.of([reason]);
  const onTcpClosed = (reason: string, address: string) => {
    metrics.tcpClosed.add([reason]);
    log.write({ level: "info", message: "TCP connection closed", about: { address, reason } });
  };
  limitTcpConnections(app.server, {
    max: tcpConnectionsFor(options.maxConnectionsPerAddress),
    addressOf: (socket) => (addresses.trusts(socket) ? undefined : addresses.ofPeer(socket)),
    onRefused: (address) => onTcpClosed("too many connections", address),
  });
  await useOneLocalhostAddress(app.server);

  const files = await clientFiles(path, app.log, answerTimeMs(options.sendQueueAgeMs));
  app.addHook("onClose", () => files.close());
  const refusalOf = (request: EngineRequest) => {
    const refusal = sessionAdmission.refusalOf(request);
    if (!refusal) return undefined;
    refuse(refusal.code);
    const { code, message } = refusal;
    const about = { address: addresses.of(request), code };
    log.write({ level: "info", message: "request refused", about, details: { why: message } });
    return refusal;
  };
  mount(engine, app.server, path, refusalOf, {
    files: files.routing,
    onOverflow: (socket) => onTcpClosed("pipelined", addresses.ofPeer(socket)),
  });
}

/** Calls back for each client that is too slow to send a request's headers or to finish a TLS handshake. */
function countLateHandshakes(app: FastifyInstance, onLate: () => void): void {
  app.server.on("clientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_HTTP_REQUEST_TIMEOUT") onLate();
  });
  app.server.on("tlsClientError", ({ code }: NodeJS.ErrnoException) => {
    if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") onLate();
  });
}
