import type { Authenticator, Permissions } from "../auth/permissions.ts";
import type { Core } from "../core.ts";
import { ClientError, errorInfo } from "../errors.ts";
import { longestTimerMs } from "../limits/numbers.ts";
import type { Session } from "../namespaces/member.ts";
import type { EmptySessions } from "./empty-sessions.ts";
import { handshakeOf } from "./handshake.ts";
import type { NamespaceInternals } from "./internals.ts";
import type { SocketIOClient, SocketIOServer } from "./server.ts";

export interface OwnNamespacesOptions {
  core: Pick<Core, "authenticator" | "rateLimiter" | "metrics" | "log">;
  /** Namespaces that need no token where tokens are required. */
  publicNamespaces: readonly string[];
  sessionOf(socket: SocketIOClient): Session;
  empty: Pick<EmptySessions, "left" | "refused">;
}

/**
 * Holds the namespaces that an application adds to the rules of roomcast's: each connection must present a token
 * where tokens are required, and its events count for its rate limit. The application hears nothing of what is
 * refused.
 */
export function guardOwnNamespaces(io: SocketIOServer, options: OwnNamespacesOptions): void {
  const { authenticator } = options.core;
  io.on("new_namespace", (nsp) => {
    const required = options.publicNamespaces.includes(nsp.name) ? undefined : authenticator;
    const admit = (socket: SocketIOClient, next: (error?: Error) => void) =>
      void admitTo(nsp.name, socket, required, options).then(next);
    // Before the middleware that a namespace has from its parent.
    (nsp as unknown as NamespaceInternals)._fns.unshift(admit as never);
    nsp.prependListener("connection", (socket) => {
      socket.use((packet: unknown[], next: () => void) => limit(socket, packet, options, next));
      socket.on("disconnect", () => options.empty.left(socket));
      if (required) endWithToken(socket, required.graceMs, options.sessionOf(socket));
    });
  });
}

/** @returns why a client may not enter, as Socket.IO's middleware says it */
async function admitTo(
  namespace: string,
  socket: SocketIOClient,
  authenticator: Authenticator | undefined,
  { core: { rateLimiter, metrics, log }, sessionOf, empty }: OwnNamespacesOptions,
): Promise<Error | undefined> {
  const session = sessionOf(socket);
  try {
    if (++session.handshakes > 1) rateLimiter.take(session, performance.now());
    if (!authenticator) return undefined;
    const permissions = await authenticator.authenticate(handshakeOf(socket).token);
    session.permissions = permissions;
    socket.data = permissions;
    return undefined;
  } catch (thrown) {
    const error = errorInfo(thrown);
    metrics.refusals.add([error.code]);
    const about = { address: session.address, code: error.code };
    log.write({ level: "info", message: "handshake refused", about, details: { id: socket.id, namespace } });
    empty.refused(socket);
    return Object.assign(new Error(error.message), { data: error });
  }
}

/** Passes an event on to the application, or refuses it as roomcast's own namespaces do. */
function limit(
  socket: SocketIOClient,
  packet: unknown[],
  { core: { rateLimiter }, sessionOf }: OwnNamespacesOptions,
  next: () => void,
): void {
  try {
    rateLimiter.take(sessionOf(socket), performance.now());
  } catch (thrown) {
    if (!(thrown instanceof ClientError)) throw thrown;
    const error = errorInfo(thrown);
    const ack = packet.at(-1);
    if (typeof ack === "function") ack({ error });
    else socket.emit("error", { event: String(packet[0]), error });
    return;
  }
  next();
}

/** Disconnects a client once its token, and the grace period behind it, is over. A new token on `/` counts here, too. */
function endWithToken(socket: SocketIOClient, graceMs: number, session: Session): void {
  const own = socket.data as Permissions;
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    const { expiresAt } = session.permissions?.userId === own.userId ? session.permissions : own;
    if (expiresAt === undefined) return;
    const leftMs = expiresAt + graceMs - Date.now();
    if (leftMs > 0) timer = setTimeout(look, Math.min(leftMs, longestTimerMs));
    else socket.disconnect();
  };
  look();
  socket.on("disconnect", () => clearTimeout(timer));
}
