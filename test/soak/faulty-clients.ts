import { setTimeout as sleep } from "node:timers/promises";
import type { NamespaceName } from "../../src/protocol.ts";
import { within } from "../support/deferred.ts";
import type { Random } from "../support/random.ts";
import type { Client } from "./clients.ts";
import { RealClient } from "./real-client.ts";
import { bye, chat, fall, lose, type Room } from "./rooms.ts";
import type { Behavior, Scenario, SocketClient } from "./scenario.ts";
import { settings } from "./server-process.ts";

/*
 * Clients that the server must disconnect, each in a private room with a companion that is notified of it.
 */

interface Pair<C extends Client = SocketClient> {
  scenario: Scenario;
  client: C;
  companion: SocketClient;
  random: Random;
}

function withCompanion<C extends Client>(
  connect: (scenario: Scenario, namespace: NamespaceName, userId: string, rooms: Room[]) => Promise<C>,
  behave: (pair: Pair<C>) => Promise<void>,
): Behavior {
  return async (scenario, userId, random) => {
    const namespace = random.pick<NamespaceName>(["/", "/chat"]);
    const room = scenario.privateRoom(namespace);
    const companion = await scenario.socketClient(namespace, `with-${userId}`, [room]);
    room.observeBy(companion);
    const client = await connect(scenario, namespace, userId, [room]);
    await behave({ scenario, companion, random, client });
    await bye(companion);
  };
}

const bySocket = (scenario: Scenario, ...who: [NamespaceName, string, Room[]]) =>
  scenario.socketClient(...who);

/** The server ends the client because it sends too much. */
async function endForFlood(client: Client, flood: () => unknown): Promise<void> {
  await lose(client, "rate limited", flood);
  client.counts.ended("rate limited");
  // The refused event that ends the connection is not acked.
  client.counts.answered(client.namespace, "notice", "rate_limited");
}

/** The server ends the client for not reading or, on a busy machine, for an unanswered ping. */
async function endForSilence({ scenario: { counts }, client }: Pair<Client>): Promise<void> {
  const start = performance.now();
  await fall(client, () => {});
  const mayBePing = performance.now() - start > settings["ping-timeout"] - 1_000;
  if (mayBePing) return counts.endedByOneOf(client.namespace, ["slow consumer", "ping timeout"]);
  counts.disconnected(client.namespace, "slow consumer");
  counts.ended("slow consumer");
}

const largeText = "€".repeat(settings["max-text"]);
const largestBytes = 3 * largeText.length + 1_000;

/** Sends a large message repeatedly, as fast as the server allows. @returns how often */
async function talkLarge({ companion }: Pair<Client>, isEnough: () => boolean): Promise<number> {
  companion.isTimed = false;
  let sent = 0;
  while (!isEnough()) {
    const { error } = await chat(companion, largeText);
    if (error) await sleep(error.retryAfterMs ?? 100);
    else sent++;
  }
  return sent;
}

/** Does not read while its companion sends to the room; it may keep sending heartbeats. */
export const staller = withCompanion(bySocket, async (pair) => {
  const { scenario, client, random } = pair;
  let isOver = false;
  client.engine.pause();
  const pongs = random.chance(0.5) ? setInterval(() => client.engine.send("3", true), 1_000) : undefined;
  const [sent] = await Promise.all([
    talkLarge(pair, () => isOver),
    endForSilence(pair).finally(() => {
      isOver = true;
      clearInterval(pongs);
    }),
  ]);
  scenario.counts.unheard(sent);
  scenario.counts.unread(sent * largestBytes);
  client.engine.drop();
});

/**
 * Reads the response to its poll and does not poll again; any packet sent then, even a ping, gets too old.
 */
export const silentPoller = withCompanion(
  (scenario, ...who) => scenario.pollingClient(...who),
  async (pair) => {
    const { client, companion, random } = pair;
    client.engine.silence();
    if (random.chance(0.5)) for (let n = 0; n < 3; n++) await chat(companion, "are you there?");
    await endForSilence(pair);
  },
);

/**
 * More events than the burst allows, plus more refusals than the server tolerates before it ends a
 * connection.
 */
const floodEvents = 2 * settings["events-burst"] + 200;

/** Sends so many events that the server refuses them and then ends the connection. */
export const flooder = withCompanion(bySocket, ({ client }) =>
  endForFlood(client, async () => {
    for (let n = 0; n < floodEvents; n++) client.tell("notice", "again");
    await mustClose(client, 1008, "rate limited");
  }),
);

/** A socket.io-client that floods, is disconnected and reconnects. */
export const returner: Behavior = async ({ counts, server }, userId, random) => {
  const namespace = random.pick<NamespaceName>(["/", "/chat"]);
  const options = { namespace, userId, room: [], transports: ["websocket" as const], reconnection: true };
  const client = await new RealClient(counts, server.url, options).connected();
  client.isUncertain = true;
  client.isTimed = false;
  const flood = Array.from({ length: floodEvents }, () => client.ask("notice", "again"));
  await endForFlood(client, () => Promise.allSettled(flood));
  client.isUncertain = false;
  await client.connected();
  await bye(client);
};

/** Reads everything but answers no ping. */
export const mute = withCompanion(bySocket, async ({ client }) => {
  client.engine.isAwake = false;
  await lose(client, "ping timeout", () => within("the end of a mute client", client.engine.closed));
});

/** A packet that breaks the protocol, the reason of the disconnect, and the WebSocket's close code. */
const violations: [packet: string, reason: string, code: number][] = [
  ["4".repeat(settings["max-payload"] + 1), "packet too large", 1009],
  ["40", "forced close", 1005],
  ["4garbage", "forced close", 1005],
  ["x", "parse error", 1005],
];

export const violator = withCompanion(bySocket, async ({ client, random }) => {
  const [packet, reason, code] = random.pick(violations);
  const again = packet === "40" && client.namespace !== "/" ? `40${client.namespace},` : packet;
  await lose(client, reason, () => {
    client.engine.send(again, true);
    return mustClose(client, code);
  });
});

/** Polls alone in a room and aborts a poll that the server is known to hold. */
export const abortingPoller: Behavior = async (scenario, userId) => {
  const client = await scenario.pollingClient("/", userId, [scenario.privateRoom("/")]);
  const pinged = new Promise<void>((resolve) => {
    client.engine.onPing = resolve;
  });
  await within("a ping", pinged);
  // The next ping is seconds away and nobody sends messages, so the server holds the poll that follows.
  await sleep(500);
  await lose(client, "transport error", () => client.engine.drop());
};

async function mustClose({ engine }: SocketClient, code: number, reason = ""): Promise<void> {
  const closing = await within("a close", engine.closed);
  if (closing.code === code && (reason === "" || closing.reason === reason)) return;
  throw new Error(`closed with ${closing.code} ${closing.reason}, not ${code} ${reason}`);
}
