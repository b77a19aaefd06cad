import type { Authenticator, Permissions } from "../auth/permissions.ts";
import type { Core } from "../core.ts";
import { ClientError, errorInfo, maxQuotedChars } from "../errors.ts";
import { longestTimerMs } from "../limits/timer.ts";
import type { Session } from "../namespaces/member.ts";
import type { EmptySessions } from "./empty-sessions.ts";
import { connectError, handshakeOf } from "./handshake.ts";
import type { NamespaceInternals } from "./internals.ts";
import { PendingConnects } from "./pending-connects.ts";
import type { SocketIOClient, SocketIOServer } from "./server.ts";

/** The options of {@link guardOwnNamespaces}. */
export interface OwnNamespacesOptions {
  core: Pick<Core, "authenticator" | "rateLimiter" | "metrics" | "log">;
  /** Namespaces that need no token even if tokens are required. */
  publicNamespaces: readonly string[];
  sessionOf(socket: SocketIOClient): Session;
  empty: Pick<EmptySessions, "left" | "refused">;
}

/**
 * Applies roomcast's rules to the namespaces that an application adds: each connection must present a token
 * if tokens are required, and its events count towards its rate limit. Refused connections and events never
 * reach the application.
 */
export function guardOwnNamespaces(io: SocketIOServer, options: OwnNamespacesOptions): void {
  const { authenticator } = options.core;
  io.on("new_namespace", (nsp) => {
    const required = options.publicNamespaces.includes(nsp.name) ? undefined : authenticator;
    const pending = new PendingConnects();
    const admit = (socket: SocketIOClient, next: (error?: Error) => void) => {
      if (!pending.begin(socket, next)) return;
      void admitTo(nsp.name, socket, required, options).then((error) => {
        next(error);
        if (error) pending.refused(socket);
        else pending.admitted(socket);
      });
    };
    // Runs before the middleware that a namespace inherits from its parent.
    (nsp as unknown as NamespaceInternals)._fns.unshift(admit as never);
    nsp.prependListener("connection", (socket) => {
      socket.use((packet: unknown[], next: () => void) => limitRate(socket, packet, options, next));
      socket.on("disconnect", () => options.empty.left(socket));
      if (required) disconnectOnExpiry(socket, required.graceMs, options.sessionOf(socket));
    });
  });
}

/** Verifies a client's handshake. @returns the error for Socket.IO's middleware if the client is refused */
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
    if (!(thrown instanceof ClientError))
      log.write({ level: "error", message: "a handler failed", about, details: { err: thrown } });
    log.write({ level: "info", message: "handshake refused", about, details: { id: socket.id, namespace } });
    empty.refused(socket);
    return connectError(error);
  }
}

/** Passes an event on to the application, or refuses it in the same way as `/` and `/chat` do. */
function limitRate(
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
    else socket.emit("error", { event: String(packet[0]).slice(0, maxQuotedChars), error });
    return;
  }
  next();
}

/**
 * Disconnects a client when the grace period after its token's expiry ends. A new token on `/` or `/chat`
 * counts too.
 */
function disconnectOnExpiry(socket: SocketIOClient, graceMs: number, session: Session): void {
  const own = socket.data as Permissions;
  let timer: NodeJS.Timeout | undefined;
  const check = () => {
    const { expiresAt } = session.permissions?.userId === own.userId ? session.permissions : own;
    if (expiresAt === undefined) return;
    const leftMs = expiresAt + graceMs - Date.now();
    if (leftMs > 0) timer = setTimeout(check, Math.min(leftMs, longestTimerMs));
    else socket.disconnect();
  };
  check();
  socket.on("disconnect", () => clearTimeout(timer));
}
