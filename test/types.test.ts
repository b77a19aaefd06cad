import assert from "node:assert/strict";
import { test } from "node:test";
import type { Socket } from "socket.io-client";
import type { Acked, ChatEvents, Failure, Membership, Receipt, ServerEvents } from "../src/protocol.ts";
import { client } from "./support/client.ts";
import { startServer } from "./support/server.ts";

/** True only where the two types are the same; `any` is the same as nothing but `any`. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

const typed = <_Same extends true>(): void => {};

test("emitWithAck returns the type of each event's reply", async (t) => {
  const { url } = await startServer(t);
  const socket: Socket<ServerEvents, Acked<ChatEvents>> = client(t, `${url}/chat`) as never;
  const joined = await socket.emitWithAck("join", "lobby");
  typed<Same<typeof joined, Membership | Failure>>();
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
