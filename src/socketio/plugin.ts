import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import serveStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { fastifyPlugin } from "fastify-plugin";
import { Server, type Socket } from "socket.io";
import { Encoder, PacketType } from "socket.io-parser";
import { told } from "../errors.ts";
import {
  admit,
  type ConnectionData,
  call,
  type Handshake,
  lose,
  type Namespace,
  welcome,
} from "../namespaces/namespace.ts";
import type { Failure, ServerEvents } from "../protocol.ts";
import { OutboxAdapter } from "./adapter.ts";
import { FastDecoder } from "./decoder.ts";
import { encodeRes } from "./encode.ts";
import { Engine, trim } from "./engine.ts";
import { mount } from "./mount.ts";

const path = "/socket.io/";
const clientFiles = join(
  dirname(createRequire(import.meta.url).resolve("socket.io/package.json")),
  "client-dist",
);

/** What clients send is unknown until a namespace has checked it. */
type Heard = Record<string, (...args: unknown[]) => void>;
/** The server as `app.io`: what it hears on `/` and `/chat` is answered by the namespaces and reaches no listener. */
export type SocketIOServer = Server<Heard, ServerEvents, Record<never, never>, ConnectionData>;
type Client = Socket<Heard, ServerEvents, Record<never, never>, ConnectionData>;

declare module "fastify" {
  interface FastifyInstance {
    /** The Socket.IO server that roomcast runs on. */
    io: SocketIOServer;
  }
}

/** What the Socket.IO server is told; durations in milliseconds, sizes in bytes. */
export interface SocketIOOptions {
  namespaces: readonly Namespace[];
  pingIntervalMs: number;
  pingTimeoutMs: number;
  connectTimeoutMs: number;
  maxPayloadBytes: number;
  outboxMaxBytes: number;
}

/** Serves namespaces, and the client's own files, over Socket.IO on the port of the Fastify server. */
export const socketio = fastifyPlugin(async (app: FastifyInstance, options: SocketIOOptions) => {
  const engine = new Engine(
    {
      allowEIO3: true,
      pingInterval: options.pingIntervalMs,
      pingTimeout: options.pingTimeoutMs,
      maxHttpBufferSize: options.maxPayloadBytes,
    },
    {
      maxBytes: options.outboxMaxBytes,
      onSlowConsumer: () => app.log.warn("a client that does not read is disconnected"),
    },
  );
  const io: SocketIOServer = new Server({
    adapter: OutboxAdapter,
    parser: { Encoder, Decoder: FastDecoder },
    connectTimeout: options.connectTimeoutMs,
  });
  io.bind(engine);
  mount(engine, app.server, path);
  for (const namespace of options.namespaces) serve(io, namespace, app);

  app.decorate("io", io);
  app.register(serveStatic, { root: clientFiles, prefix: path, decorateReply: false });
  app.addHook("preClose", () => shutDown(app));
});

function serve(io: SocketIOServer, namespace: Namespace, { log }: FastifyInstance): void {
  const nsp = io.of(namespace.name);
  const adapter = nsp.adapter as OutboxAdapter;
  const prefix = `${PacketType.EVENT}${namespace.name === "/" ? "" : `${namespace.name},`}`;
  namespace.rooms.deliverBy((key, message) => {
    adapter.send(key, prefix + encodeRes(message), { type: PacketType.EVENT, data: ["res", message] });
  });

  nsp.use((socket, next) =>
    guarded(
      () => {
        socket.data = admit(namespace, socket.id, handshakeOf(socket));
        next();
      },
      (error) => next(Object.assign(new Error(error.message), { data: error })),
    ),
  );

  nsp.on("connection", (socket) => {
    // Middleware is handed the packet as it came and calls no listener: one would be handed the arguments
    // on the stack, which 40,000 of them overflow.
    socket.use((packet) => answer(socket, packet));
    trim(socket, "fns");
    socket.on("disconnect", lost);
    guarded(() => welcome(namespace, socket));
  });

  /** One listener for all, told who by `this`. */
  function lost(this: Client, reason: string): void {
    guarded(() => lose(namespace, this, { silently: reason === "server shutting down" }));
  }

  function answer(socket: Client, packet: unknown[]): void {
    if (socket.conn.readyState !== "open") return;
    const ack = typeof packet.at(-1) === "function" ? (packet.pop() as (reply: unknown) => void) : undefined;
    const [event, ...args] = packet;
    guarded(
      () => {
        const reply = call(namespace, socket, event, args);
        ack?.(reply);
      },
      (error) => {
        if (ack) ack({ error });
        else socket.emit("error", { event: String(event).slice(0, 128), error });
      },
    );
  }

  /** The one place where what is thrown becomes what a client is told; a fault of ours is logged. */
  function guarded(action: () => void, refuse: (error: Failure["error"]) => void = () => {}): void {
    try {
      action();
    } catch (thrown) {
      const error = told(thrown);
      if (error.code === "internal") log.error({ err: thrown }, "a handler failed");
      refuse(error);
    }
  }
}

/** What a client says of itself: `auth` belongs to the namespace and wins over the query of the connection. */
function handshakeOf({ handshake: { auth, query, url } }: Client): Handshake {
  // Engine.IO keeps the last of a key that is repeated; to read a long query twice is dear, so only then.
  const { userId, room } = /[?&](userId|room)=.*&\1=/.test(url) ? repeated(url) : query;
  return { userId: auth.userId ?? userId, room: auth.room ?? room };
}

function repeated(url: string): Handshake {
  const query = new URL(url, "http://localhost").searchParams;
  const userIds = query.getAll("userId");
  return { userId: userIds.length > 1 ? userIds : userIds[0], room: query.getAll("room") };
}

/** Stops listening first, so that nobody reconnects to a server that is going away. */
async function shutDown({ io, server }: FastifyInstance): Promise<void> {
  server.close();
  await io.close();
}
