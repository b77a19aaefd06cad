import { io, type Socket } from "socket.io-client";
import type { Peer, PeerListener, PeerOptions, Way } from "./peer.ts";

const transports: Partial<Record<Way, string[]>> = {
  websocket: ["websocket"],
  polling: ["polling"],
  upgrade: ["polling", "websocket"],
};

/** A stock socket.io-client, which connects again by itself. */
export class StockPeer implements Peer {
  readonly #socket: Socket;

  constructor({ way, url, namespace, reconnectionDelayMs }: PeerOptions, listener: PeerListener) {
    this.#socket = io(url + (namespace === "/" ? "" : namespace), {
      forceNew: true,
      transports: transports[way] as string[],
      reconnectionDelay: reconnectionDelayMs,
      reconnectionDelayMax: 2 * reconnectionDelayMs,
      auth: (callback) => callback(listener.handshake()),
    });
    // What arrives with the loss of a connection, socket.io-client keeps and emits before the next "connect". By then it
    // has sent its cursors, so that the replay repeats these messages.
    let isConnected = false;
    this.#socket.on("connect", () => {
      isConnected = true;
      listener.connected();
    });
    this.#socket.on("disconnect", (reason) => {
      isConnected = false;
      listener.disconnected(reason);
      if (reason === "io server disconnect") listener.refused(reason);
    });
    this.#socket.on("connect_error", ({ message }) => {
      if (!this.#socket.active) listener.refused(message);
    });
    this.#socket.on("res", (message) => isConnected && listener.received(message));
    this.#socket.on("sync", (sync) => isConnected && listener.synced(sync));
    this.#socket.on("presence", (presence) => isConnected && listener.presenceChanged?.(presence));
  }

  request(event: string, args: unknown[], replied: (reply: unknown) => void): void {
    this.#socket.emit(event, ...args, replied);
  }

  restart(): void {
    this.#socket.disconnect().connect();
  }

  /** Closes the connection, but not the namespace first, as the page of a browser does that is left. */
  misbehave(): void {
    // An engine that is not open yet would report nothing.
    if (this.#socket.connected) this.#socket.io.engine.close();
  }

  close(): void {
    this.#socket.disconnect();
  }
}
