import type { Permissions } from "../auth/permissions.ts";
import type { Core } from "../core.ts";
import { ClientError, type ErrorInfo, errorInfo, maxQuotedChars } from "../errors.ts";
import { longestTimerMs } from "../limits/timer.ts";
import type { ClientSession } from "../namespaces/member.ts";
import { connectionIdOf } from "./connection-id.ts";
import type { EmptySessions } from "./empty-sessions.ts";
import { connectError, handshakeOf } from "./handshake.ts";
import type { NamespaceInternals } from "./internals.ts";
import { PendingConnects } from "./pending-connects.ts";
import type { SocketIOClient, SocketIOServer } from "./server.ts";

/** The options of {@link guardApplicationNamespaces}. */
export interface ApplicationNamespacesOptions {
  core: Pick<Core, "authenticator" | "rateLimiter" | "handshakes">;
  /** Namespaces that need no token even if tokens are required. */
  publicNamespaces: readonly string[];
  sessionOf(socket: SocketIOClient): ClientSession;
  empty: Pick<EmptySessions, "left" | "refused">;
}

/**
 * Applies roomcast's rules to the namespaces that an application adds: each connection must present a token
 * if tokens are required, and its events count towards its rate limit. Refused connections and events never
 * reach the application.
 */
export function guardApplicationNamespaces(io: SocketIOServer, options: ApplicationNamespacesOptions): void {
  const { authenticator, handshakes } = options.core;
  io.on("new_namespace", (nsp) => {
    const required = options.publicNamespaces.includes(nsp.name) ? undefined : authenticator;
    const pending = new PendingConnects();
    /** What the tokens grant. The application may change or replace `socket.data`. */
    const granted = new WeakMap<SocketIOClient, Permissions>();
    const admit = (socket: SocketIOClient, next: (error?: Error) => void) => {
      if (!pending.begin(socket, next)) return;
      const accepted = (permissions: Permissions | undefined) => {
        if (permissions) {
          options.sessionOf(socket).permissions = permissions;
          socket.data = { ...permissions };
          granted.set(socket, permissions);
        }
        next();
        pending.admitted(socket);
      };
      const refused = (error: ErrorInfo) => {
        pending.refused(socket);
        options.empty.refused(socket);
        next(connectError(error));
      };
      const client = { id: connectionIdOf(socket), namespace: nsp.name };
      const check = () => required?.authenticate(handshakeOf(socket).token);
      handshakes.check(options.sessionOf(socket), client, check, accepted, refused);
    };
    // Runs before the middleware that a namespace inherits from its parent.
    (nsp as unknown as NamespaceInternals)._fns.unshift(admit as never);
    nsp.prependListener("connection", (socket) => {
      socket.use((packet: unknown[], next: () => void) => limitRate(socket, packet, options, next));
      socket.on("disconnect", () => options.empty.left(socket));
      const permissions = granted.get(socket);
      if (required && permissions)
        disconnectOnExpiry(socket, permissions, options.sessionOf(socket), required.graceMs);
    });
  });
}

/** Passes an event on to the application, or refuses it in the same way as `/` and `/chat` do. */
function limitRate(
  socket: SocketIOClient,
  packet: unknown[],
  { core: { rateLimiter }, sessionOf }: ApplicationNamespacesOptions,
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
function disconnectOnExpiry(
  socket: SocketIOClient,
  own: Permissions,
  session: ClientSession,
  graceMs: number,
): void {
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
