import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { Server } from "socket.io";
import { readOptions } from "../../src/config/read.ts";
import { mount } from "../../src/engineio/mount.ts";
import { createServer as createSocketIO } from "../../src/socketio/server.ts";

const options = readOptions({});

function fast(http: HttpServer): Server {
  const { io, engine } = createSocketIO(options, () => {});
  mount(engine, http, "/socket.io/", () => undefined);
  return io as never;
}

/** Stock Socket.IO, attached as its documentation describes. */
const stock = (http: HttpServer): Server => new Server(http, { allowEIO3: true });

/** roomcast's engine and the stock one, for the Socket.IO server of an application. */
export const engines = { fast, stock };

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
