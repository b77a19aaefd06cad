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
  readonly #connected = new Deferred();

  constructor(port: number, query: string) {
    super(`http://127.0.0.1:${port}`, { query: [query], keptBytes: 2 });
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

/** Connects clients, `atOnce` at a time; resolves when all of them have joined the namespace. */
export async function connectMany(port: number, queries: string[], atOnce = 50): Promise<BenchClient[]> {
  const clients: BenchClient[] = [];
  for (let at = 0; at < queries.length; at += atOnce) {
    const some = queries.slice(at, at + atOnce).map((query) => new BenchClient(port, query));
    await Promise.all(some.map((client) => client.connected()));
    clients.push(...some);
  }
  return clients;
}
