import { Deferred } from "../support/deferred.ts";
import { textFrame } from "../support/frames.ts";
import { WebSocketClient } from "../support/websocket-client.ts";

const [zero, two, three, four] = [48, 50, 51, 52];
const [connect, pong] = [textFrame("40"), textFrame("3")];

/** A client cheap enough not to distort the measurement: it counts packets by their first two bytes. */
export class BenchClient extends WebSocketClient {
  /** Events received. */
  events = 0;
  onEvent: (() => void) | undefined;
  onAck: (() => void) | undefined;
  readonly port: number;
  readonly #connected = new Deferred();

  constructor(port: number, query: string) {
    super(`http://127.0.0.1:${port}`, { query: [query], keptBytes: 2 });
    this.port = port;
  }

  /** Resolves when it is connected to the namespace `/`. */
  connected(): Promise<void> {
    return this.#connected.promise;
  }

  protected override receiveFrame(_opcode: number, chunk: Buffer, start: number, end: number): void {
    const type = chunk[start];
    if (type === zero) this.socket.write(connect);
    else if (type === two) this.socket.write(pong);
    if (type !== four || end - start < 2) return;
    const kind = chunk[start + 1];
    if (kind === two) {
      this.events++;
      this.onEvent?.();
    } else if (kind === three) this.onAck?.();
    else if (kind === zero) this.#connected.resolve();
  }
}

/** Connects clients in turn to these ports, 50 at a time; resolves when all have joined the namespace. */
export async function connectMany(ports: readonly number[], queries: string[]): Promise<BenchClient[]> {
  const atOnce = 50;
  const clients: BenchClient[] = [];
  while (clients.length < queries.length) {
    const some = queries
      .slice(clients.length, clients.length + atOnce)
      .map((query, n) => new BenchClient(ports[(clients.length + n) % ports.length] as number, query));
    await Promise.all(some.map((client) => client.connected()));
    clients.push(...some);
  }
  return clients;
}
