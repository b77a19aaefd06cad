import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** Requests of one TCP connection that may wait behind the one being answered. */
const maxWaiting = 16;

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

/** The exchanges of one TCP connection. */
interface Queue {
  /** Whether a request is being answered. */
  isBusy: boolean;
  waiting: Exchange[];
}

/**
 * Passes the requests of each TCP connection to a listener one at a time, in order. Node passes on pipelined
 * requests as soon as they are parsed, without a limit, and does not report when queued requests are lost
 * with their connection: whatever they had opened would stay open.
 */
export class Pipeline {
  readonly #queues = new WeakMap<Socket, Queue>();
  readonly #handle: RequestListener;
  readonly #onOverflow: (socket: Socket) => void;

  /**
   * @param handle answers one request
   * @param onOverflow called before a connection is destroyed because it sends requests without waiting for
   * responses
   */
  constructor(handle: RequestListener, onOverflow: (socket: Socket) => void) {
    this.#handle = handle;
    this.#onOverflow = onOverflow;
  }

  /** Handles a request as soon as all earlier requests on the same connection have been answered. */
  enter(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const queue = this.#queueOf(socket);
    if (!queue.isBusy) this.#begin(queue, { request, response });
    else if (queue.waiting.length < maxWaiting) queue.waiting.push({ request, response });
    else this.overflow(socket);
  }

  /** Whether a request of this connection has not been answered yet. */
  isBusy(socket: Socket): boolean {
    return this.#queues.get(socket)?.isBusy === true;
  }

  /** Destroys a connection that has sent too much without waiting for responses. */
  overflow(socket: Socket): void {
    const queue = this.#queueOf(socket);
    queue.waiting.length = 0;
    // Requests from the chunk that was already read still arrive.
    if (socket.destroyed) return;
    this.#onOverflow(socket);
    socket.destroy();
  }

  #queueOf(socket: Socket): Queue {
    const known = this.#queues.get(socket);
    if (known) return known;
    const queue: Queue = { isBusy: false, waiting: [] };
    this.#queues.set(socket, queue);
    socket.once("close", () => {
      queue.waiting.length = 0;
    });
    return queue;
  }

  #begin(queue: Queue, { request, response }: Exchange): void {
    const { socket } = request;
    // The previous response announced that it was the last one, so the client would not read another.
    if (!socket.writable) return;
    // Node itself has answered an earlier request (417, 400), and the client has not taken that response yet.
    // A response without a socket would never emit "close".
    if (!response.socket) {
      this.overflow(socket);
      return;
    }
    queue.isBusy = true;
    response.once("close", () => {
      queue.isBusy = false;
      const next = queue.waiting.shift();
      if (next) this.#begin(queue, next);
    });
    this.#handle(request, response);
  }
}
