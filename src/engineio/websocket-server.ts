import { type ServerOptions, WebSocket, WebSocketServer } from "ws";
import { Incoming, maxBufferedChunks, maxFragments, type Receiver, type Receiving } from "./incoming.ts";

/** A WebSocket of {@link boundedWebSocketServer}. */
export interface BoundedWebSocket extends WebSocket {
  readonly incoming: Incoming;
}

/** The `ws` server class with a memory limit on partially received messages, for Engine.IO's `wsEngine`. */
export function boundedWebSocketServer(
  receiving: Receiving,
): new (
  options: ServerOptions,
) => WebSocketServer {
  class Bounded extends WebSocket implements BoundedWebSocket {
    readonly incoming = new Incoming(this, receiving);
  }
  const { maxPayloadBytes } = receiving.bounds;
  const parts = {
    maxFragments: maxFragments(maxPayloadBytes),
    maxBufferedChunks: maxBufferedChunks(maxPayloadBytes),
  };
  return class extends WebSocketServer {
    constructor(options: ServerOptions) {
      super({ ...options, ...parts, WebSocket: Bounded });
    }

    override handleUpgrade(
      ...[request, tcp, head, done]: Parameters<WebSocketServer["handleUpgrade"]>
    ): void {
      super.handleUpgrade(request, tcp, head, (ws, upgradeRequest) => {
        // Before anything is read, so that the scanner starts at the same byte as `ws`.
        (ws as BoundedWebSocket).incoming.track(tcp);
        ws.on("close", onClose);
        done(ws, upgradeRequest);
      });
    }
  };
}

/** Passes what arrives on a WebSocket to its transport. */
export function attachTransport(ws: BoundedWebSocket, transport: Receiver): void {
  ws.incoming.transport = transport;
  ws.on("message", onMessage);
  ws.on("ping", onPing);
  ws.on("error", onError);
}

// All WebSockets share these listeners, which find the transport through `this`.

function onMessage(this: WebSocket, data: Buffer, isBinary: boolean): void {
  (this as BoundedWebSocket).incoming.transport?.receive(data, isBinary);
}

function onPing(this: WebSocket): void {
  (this as BoundedWebSocket).incoming.transport?.checkPongs();
}

function onError(this: WebSocket, error: Error): void {
  (this as BoundedWebSocket).incoming.transport?.fail(error);
}

function onClose(this: WebSocket): void {
  const { incoming } = this as BoundedWebSocket;
  incoming.release();
  incoming.transport?.closed();
}
