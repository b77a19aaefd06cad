import type { Socket } from "engine.io";
import type { Engine } from "./engine.ts";

/**
 * Ends each connection whose client takes less than it is sent, in a way that clients reconnect after. What is
 * handed out and not yet taken by a transport is counted in characters and bytes; a transport itself holds no
 * more than was waiting when it was last ready.
 *
 * @param onEnd hears of each connection that is ended so
 */
export function boundBacklog(engine: Engine, maxBytes: number, onEnd: (socket: Socket) => void): void {
  engine.on("connection", (socket: Socket) => {
    let waiting = 0;
    socket.on("flush", () => {
      waiting = 0;
    });
    socket.on("packetCreate", ({ data }: { data?: string | Buffer }) => {
      waiting += data?.length ?? 0;
      if (waiting <= maxBytes || socket.readyState !== "open") return;
      // From here on nothing more is queued for it, or heard from it.
      socket.readyState = "closing";
      onEnd(socket);
      setImmediate(() => socket.close(true));
    });
  });
}
