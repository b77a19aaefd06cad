import type { Server, Socket } from "node:net";
import { Counts } from "../limits/counts.ts";

/**
 * TCP connections needed for a number of sessions: a polling client sometimes has two, and pages and
 * operators need some as well.
 */
export const tcpConnectionsFor = (sessions: number): number => 2 * sessions + 100;

/** A limit on the TCP connections of each address. */
export interface TcpLimit {
  /** TCP connections per address. */
  max: number;
  /** The address that a connection counts for; undefined if the connection is not counted. */
  addressOf(socket: Socket): string | undefined;
  /** Called for each connection that is closed on arrival. */
  onRefused(address: string): void;
}

/** Closes TCP connections beyond the limit of their address, before anything is read from them. */
export function limitTcpConnections(server: Server, { max, addressOf, onRefused }: TcpLimit): void {
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
    socket.on("close", onClose);
  });

  /** One listener for all connections: a closure for each would take memory as long as its connection. */
  function onClose(this: Socket): void {
    // A socket whose address was read before it closed remembers the address.
    counts.remove(addressOf(this) as string);
  }
}
