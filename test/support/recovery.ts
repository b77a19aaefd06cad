import type { TestContext } from "node:test";
import type { Message, Sync } from "../../src/protocol.ts";
import { client, Member, next } from "./client.ts";

/** The logged messages that a member has received, in order: `SEQ text`. */
export const logged = ({ messages }: Member): string[] => messages.filter(isLogged).map(brief);

export const isLogged = ({ offset }: Message): boolean => offset !== null;

export const brief = ({ offset, text }: Message): string => `${seqOf(offset)} ${text.replace("<= ", "")}`;

export const epochOf = (offset: string | null): string => String(offset).split(":")[0] as string;

export const seqOf = (offset: string | null): number => Number(String(offset).split(":")[1]);

/** Says texts one after the other in a room. @returns the offset of each */
export async function say(member: Member, room: string, ...texts: string[]): Promise<string[]> {
  const receipts = await Promise.all(texts.map((text) => member.ask("chat", text, room)));
  return receipts.map(({ offsets }) => offsets[room]);
}

export const numbered = (count: number, text = ""): string[] =>
  Array.from({ length: count }, (_, n) => `${n + 1}${text}`);

interface ResumeAuth {
  room: string[];
  since?: object;
  last?: number;
}

/** Connects with a handshake and waits for one `sync` per room. Messages and verdicts are recorded in order. */
export async function resume(t: TestContext, url: string, auth: ResumeAuth) {
  const member = new Member(client(t, url, { auth }));
  const order: string[] = [];
  const syncs: Sync[] = [];
  member.socket.on("res", ({ type, room, ...message }) =>
    order.push(message.offset ? `${room} ${brief({ type, room, ...message })}` : `${room} ${type}`),
  );
  member.socket.on("sync", (sync) => {
    order.push(`${sync.room} sync`);
    syncs.push(sync);
  });
  while (syncs.length < auth.room.length) await next(member.socket, "sync");
  return { member, order, syncs };
}

/** Resolves with the error of a handshake that is refused. */
export async function refusal(t: TestContext, url: string, auth: object): Promise<{ code: string }> {
  const [{ data }] = await next(client(t, url, { auth, reconnection: false }), "connect_error");
  return data;
}
