import type { Message, NamespaceName } from "../protocol.ts";
import { compose } from "../rooms/compose.ts";
import { encodeCopy } from "../rooms/envelope.ts";
import { type Departure, exitArguments } from "./departures.ts";
import type { Node } from "./node.ts";

/** Memberships that are removed at once. */
const batchSize = 200;

/**
 * Removes the members of a node whose lease is over. Other nodes may do the same at the same time: each membership is
 * removed and announced once.
 */
export async function removeMembersOf(dead: string, node: Node): Promise<void> {
  const { link, graceMs } = node;
  const messages = new Map<string, Message>();
  for (;;) {
    const found = await link.run<string[]>("bury", dead, batchSize);
    if (found.length === 0) return;
    const departures: Departure[] = [];
    for (let at = 0; at < found.length; at += 2)
      departures.push(departureOf(found[at] as string, found[at + 1] as string, messages));
    const changes = await link.run<number[]>("exit", 0, dead, 1, graceMs, ...exitArguments(departures));
    node.removedMembers += changes.filter((change) => change > 0).length;
  }
}

/** The membership of a dead node's connection. @param messages the announcement of each connection */
function departureOf(entry: string, userId: string, messages: Map<string, Message>): Departure {
  const [namespace, connection, room] = entry.split("\n") as [NamespaceName, string, string];
  const departure = { namespace, connection, userId, isLost: true, room };
  if (room === "") return { ...departure, json: "" };
  const key = `${namespace}\n${connection}`;
  const message =
    messages.get(key) ??
    compose(namespace, userId, { type: "disconnected", text: "disconnected!", rooms: [] });
  messages.set(key, message);
  return { ...departure, json: encodeCopy({ ...message, rooms: [room] }, room, null) };
}
