import assert from "node:assert/strict";
import { test } from "node:test";
import type { Namespace } from "socket.io";
import type { Socket } from "socket.io-client";
import { type Requests, roomClient } from "../src/client.ts";
import type { Acked, ChatEvents, Failure, Joined, Message, Receipt, ServerEvents } from "../src/protocol.ts";
import { client, next } from "./support/client.ts";
import { startServer } from "./support/server.ts";

/** True only if the two types are identical; `any` is identical only to `any`. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

const typed = <_Same extends true>(): void => {};

test("an application sends and receives its own events in its own namespaces, typed or not", async (t) => {
  const { url } = await startServer(
    t,
    {},
    {
      prepare: ({ roomcast: { io } }) => {
        io.of("/game").on("connection", (socket) => {
          socket.on("move", (to) => socket.emit("moved", to));
          typed<Same<typeof socket.data.userId, string | undefined>>();
        });
        const chess: Namespace<{ move(to: string): void }, { moved(to: string): void }> = io.of("/chess");
        chess.on("connection", (socket) => {
          socket.on("move", (to) => {
            typed<Same<typeof to, string>>();
            socket.emit("moved", to);
            // @ts-expect-error The event's argument is a string.
            socket.emit("moved", 7);
          });
        });
      },
    },
  );
  for (const name of ["/game", "/chess"]) {
    const socket = client(t, url + name) as unknown as Socket;
    socket.emit("move", "e4");
    assert.deepEqual(await next(socket, "moved"), ["e4"]);
  }
});

test("emitWithAck returns the type of each event's reply", async (t) => {
  const { url } = await startServer(t);
  const socket: Socket<ServerEvents, Acked<ChatEvents>> = client(t, `${url}/chat`) as never;
  const joined = await socket.emitWithAck("join", "lobby");
  typed<Same<typeof joined, Joined | Failure>>();
  const everywhere = await socket.emitWithAck("chat", "hello");
  typed<Same<typeof everywhere, Receipt | Failure>>();
  const inOneRoom = await socket.emitWithAck("chat", "hello", "lobby");
  typed<Same<typeof inOneRoom, Receipt | Failure>>();
  const echo = await socket.emitWithAck("msg", "hello");
  typed<Same<typeof echo, string | Failure>>();
  // @ts-expect-error The namespace has no such event.
  await assert.doesNotReject(socket.emitWithAck("nonsense", "x"));
  // @ts-expect-error A room is a string.
  const refused = await socket.emitWithAck("join", 7);
  assert.equal("error" in refused && refused.error.code, "bad_payload");
  assert.equal("error" in joined, false);
});

test("the client helper has the arguments and the reply of each event", async (t) => {
  const { url } = await startServer(t);
  const wrapped = roomClient<ChatEvents>(client(t, `${url}/chat`));
  wrapped.socket.on("res", (message) => typed<Same<typeof message, Message>>());
  const joined = await wrapped.join("lobby", { last: 10 });
  typed<Same<typeof joined, Joined>>();
  const receipt = await wrapped.publish("lobby", { x: 1 }, { id: "mine" });
  typed<Same<typeof receipt, Receipt>>();
  typed<Same<Parameters<Requests<ChatEvents>["bye"]>, []>>();
  assert.equal(await wrapped.msg("hello"), "recv hello");
  // @ts-expect-error A room is a string.
  await assert.rejects(wrapped.join(7), { code: "bad_payload" });
  // @ts-expect-error The namespace / has no such event.
  const { msg } = roomClient(client(t, url, { autoConnect: false }));
  assert.ok(msg);
});
