import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import serveStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { fastifyPlugin } from "fastify-plugin";
import { told } from "../errors.ts";
import { admit, call, type Handshake, lose, type Namespace, welcome } from "../namespaces/namespace.ts";
import type { Failure } from "../protocol.ts";
import { trim } from "./engine.ts";
import { mount } from "./mount.ts";
import { fast, type ServerOptions, type Serving, type SocketIOClient } from "./server.ts";

const path = "/socket.io/";
const clientFiles = join(
  dirname(createRequire(import.meta.url).resolve("socket.io/package.json")),
  "client-dist",
);

export interface SocketIOOptions extends ServerOptions {
  namespaces: readonly Namespace[];
  /** Makes the server: ours unless another is given. */
  makeServer?: typeof fast;
}

/** Serves namespaces, and the client's own files, over Socket.IO on the port of the Fastify server. */
export const socketio = fastifyPlugin(async (app: FastifyInstance, options: SocketIOOptions) => {
  const { namespaces, makeServer = fast } = options;
  const serving = makeServer(options, () => app.log.warn("a client that does not read is disconnected"));
  mount(serving.engine, app.server, path);
  for (const namespace of namespaces) serve(serving, namespace, app);

  app.decorate("io", serving.io);
  app.register(serveStatic, { root: clientFiles, prefix: path, decorateReply: false });
  app.addHook("preClose", () => shutDown(app));
});

function serve({ io, deliverTo }: Serving, namespace: Namespace, { log }: FastifyInstance): void {
  const nsp = io.of(namespace.name);
  namespace.rooms.deliverBy(deliverTo(nsp));

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
  function lost(this: SocketIOClient, reason: string): void {
    guarded(() => lose(namespace, this, { silently: reason === "server shutting down" }));
  }

  function answer(socket: SocketIOClient, packet: unknown[]): void {
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
function handshakeOf({ handshake: { auth, query, url } }: SocketIOClient): Handshake {
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
