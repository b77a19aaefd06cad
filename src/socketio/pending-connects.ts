import type { ClientInternals } from "./internals.ts";
import type { SocketIOClient } from "./server.ts";

/**
 * The handshakes of one namespace that are not answered yet. A client that sends CONNECT again before the answer is
 * disconnected: Socket.IO would create two sockets for it.
 */
export class PendingConnects {
  readonly #clients = new Set<string>();

  /** @returns false for a duplicate, whose connection is closed */
  begin(socket: SocketIOClient, next: (error: Error) => void): boolean {
    const client = clientIdOf(socket);
    if (!this.#clients.has(client)) {
      this.#clients.add(client);
      return true;
    }
    socket.conn.close(true);
    // The connection is closed, so Socket.IO drops both handshakes.
    next(new Error("duplicate CONNECT"));
    return false;
  }

  /** The client was refused. */
  refused(socket: SocketIOClient): void {
    this.#clients.delete(clientIdOf(socket));
  }

  /** The client was admitted. After this turn the socket is registered, so Socket.IO itself catches a duplicate. */
  admitted(socket: SocketIOClient): void {
    const client = clientIdOf(socket);
    setImmediate(() => this.#clients.delete(client));
  }
}

const clientIdOf = ({ client }: SocketIOClient) => (client as unknown as ClientInternals).id;
