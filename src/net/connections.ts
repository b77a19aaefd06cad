import type { Server, Socket } from "node:net";
import { Counts } from "../limits/numbers.ts";

export interface ConnectionLimit {
  /** TCP connections of one address. */
  max: number;
  /** The address a connection counts for; undefined where it is not counted. */
  addressOf(socket: Socket): string | undefined;
  /** Is called for each connection that was closed as it came. */
  onRefused(address: string): void;
}

/** Closes TCP connections beyond those that one address may have, before anything is read from them. */
export function limitConnections(server: Server, { max, addressOf, onRefused }: ConnectionLimit): void {
  const counts = new Counts();
  server.on("connection", (socket: Socket) => {
    const address = addressOf(socket);
    if (address === undefined) return;
    if (counts.of(address) >= max) {
      socket.destroy();
      onRefused(address);
      return;
    }
    counts.add(address);
    socket.on("close", closed);
  });

  /** One listener for all: a closure for each would cost memory as long as its connection. */
  function closed(this: Socket): void {
    // Node's sockets remember an address that they were asked for.
    counts.remove(addressOf(this) as string);
  }
}
