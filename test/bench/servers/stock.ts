import type { AddressInfo } from "node:net";
import type { Message } from "../../../src/protocol.ts";
import type { Envelope } from "../../../src/rooms/envelope.ts";
import { SocketIOGateway } from "../../../src/socketio/gateway.ts";
import type { SocketIONamespace } from "../../../src/socketio/server.ts";
import { buildOnStock } from "../../support/stock.ts";
import { unlimited } from "./unlimited.ts";

/** Delivers as an application on stock Socket.IO would: its sockets join Socket.IO's rooms. */
class StockGateway extends SocketIOGateway {
  readonly #nsp: SocketIONamespace;

  constructor(...args: ConstructorParameters<typeof SocketIOGateway>) {
    super(...args);
    [this.#nsp] = args;
    this.#nsp.use((socket, next) => {
      void socket.join(`room:${socket.handshake.query.room}`);
      next();
    });
  }

  override deliver(_members: unknown, { payload }: Envelope): void {
    this.#nsp.to(`room:${payload.room}`).emit("res", payload as Message);
  }
}

/** Stock Socket.IO on its own engine, with roomcast's handlers. */
export async function stock(): Promise<number> {
  const app = await buildOnStock(unlimited, StockGateway);
  await app.listen({ port: 0, host: "127.0.0.1" });
  return (app.server.address() as AddressInfo).port;
}
