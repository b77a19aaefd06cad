import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { Server } from "socket.io";
import { Encoder } from "socket.io-parser";
import { OutboxAdapter } from "../../src/socketio/adapter.ts";
import { FastDecoder } from "../../src/socketio/decoder.ts";
import { Engine } from "../../src/socketio/engine.ts";
import { mount } from "../../src/socketio/mount.ts";

const options = { allowEIO3: true, maxHttpBufferSize: 1e6 };

/** Ours: an outbox for each WebSocket. */
function outbox(http: HttpServer): Server {
  const engine = new Engine(options, { maxBytes: 4_000_000, onSlowConsumer: () => {} });
  const io = new Server({ adapter: OutboxAdapter, parser: { Encoder, Decoder: FastDecoder } });
  io.bind(engine);
  mount(engine, http, "/socket.io/");
  return io;
}

/** Socket.IO as it comes. */
const stock = (http: HttpServer): Server => new Server(http, options);

/** Both ways a Socket.IO server of an application's own may write. */
export const engines = { outbox, stock };

/** A Socket.IO server without roomcast's namespaces, closed when the test ends. */
export async function startEngine(
  t: TestContext,
  name: keyof typeof engines,
): Promise<{ io: Server; url: string }> {
  const http = createServer();
  const io = engines[name](http);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(async () => {
    await io.close();
    http.close();
  });
  return { io, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}
