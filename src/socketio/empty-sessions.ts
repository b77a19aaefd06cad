import type { ClientInternals } from "./internals.ts";
import type { SocketIOClient } from "./server.ts";

const longestSweepMs = 1_000;

/**
 * Ends sessions that have left all namespaces and join none within the timeout. Socket.IO itself only
 * enforces a timeout for the first namespace, and closes such a session only after its client has read
 * everything sent to it.
 */
export class EmptySessions {
  readonly #timeoutMs: number;
  readonly #end: (socket: SocketIOClient) => void;
  /** One socket of each empty session, and the time since which it is empty. */
  readonly #since = new Map<ClientInternals, { socket: SocketIOClient; atMs: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(timeoutMs: number, end: (socket: SocketIOClient) => void) {
    this.#timeoutMs = timeoutMs;
    this.#end = end;
  }

  /** Called when a client left a namespace: restarts the timeout. */
  left(socket: SocketIOClient): void {
    this.#since.delete(clientOf(socket));
    this.refused(socket);
  }

  /** Called when a handshake with a namespace was refused: a running timeout continues. */
  refused(socket: SocketIOClient): void {
    const client = clientOf(socket);
    if (socket.conn.readyState !== "open" || client.nsps.size > 0 || this.#since.has(client)) return;
    this.#since.set(client, { socket, atMs: performance.now() });
    this.#timer ??= setInterval(() => this.#sweep(), Math.min(this.#timeoutMs, longestSweepMs)).unref();
  }

  close(): void {
    this.#since.clear();
    this.#stop();
  }

  #sweep(): void {
    const now = performance.now();
    for (const [client, { socket, atMs }] of this.#since) {
      const isOver = socket.conn.readyState === "closed" || client.nsps.size > 0;
      const isDue = now - atMs >= this.#timeoutMs;
      if (isDue && !isOver) this.#end(socket);
      if (isDue || isOver) this.#since.delete(client);
    }
    if (this.#since.size === 0) this.#stop();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

const clientOf = ({ client }: SocketIOClient) => client as unknown as ClientInternals;
