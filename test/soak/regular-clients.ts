import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorCode } from "../../src/errors.ts";
import type { NamespaceName } from "../../src/protocol.ts";
import { within } from "../support/deferred.ts";
import type { Random } from "../support/random.ts";
import { type Client, RawClient } from "./clients.ts";
import { bye, chat, enter, join, leave, lose, type Room, replay, sayBye, send } from "./rooms.ts";
import type { Behavior, Scenario, SocketClient } from "./scenario.ts";
import { settings } from "./server-process.ts";

/*
 * Well-behaved clients, which the server must keep and serve.
 */

const words = [
  "hello",
  "is anybody there?",
  "žluťoučký kůň",
  "👋🏽",
  '"quoted" \\ and\nbroken',
  "la ".repeat(300),
];
const tooLarge = "x".repeat(settings["max-text"] + 1);

type Action = (client: Client, random: Random, scenario: Scenario) => Promise<unknown>;

/** Acts on a room that the client is in or, if `isIn` is false, not in; does nothing if there is none. */
const withRoom =
  (isIn: boolean, action: (client: Client, room: Room, random: Random) => Promise<unknown>): Action =>
  async (client, random, scenario) => {
    const rooms = scenario.roomsOf(client.namespace).filter((room) => client.rooms.has(room) === isIn);
    if (rooms.length > 0) await action(client, random.pick(rooms), random);
  };

/** Sends an event that the server must refuse with this code. */
async function refused(client: Client, code: ErrorCode, event: string, ...args: unknown[]): Promise<void> {
  const { error } = await client.ask(event, ...args);
  if (error?.code !== code) throw new Error(`${event} returned ${error?.code ?? "ok"}, not ${code}`);
}

/** The valid and invalid actions of clients while they are connected. */
const actions: [weight: number, action: Action][] = [
  [30, (client, random) => chat(client, random.pick(words))],
  [15, withRoom(true, (client, room, random) => chat(client, random.pick(words), room))],
  [8, (client, random) => client.ask("notice", random.pick(words))],
  [8, (client) => client.ask("msg", "remember this")],
  [10, withRoom(false, join)],
  [3, withRoom(true, join)],
  [8, withRoom(true, leave)],
  [
    5,
    withRoom(true, (client, { name }, random) => send(client, "publish", name, { said: random.pick(words) })),
  ],
  [3, withRoom(true, (client, { name }) => send(client, "publish", name, 7, { transient: true }))],
  [5, withRoom(true, (client, room, random) => replay(client, room, random.between(0, 20)))],
  [3, withRoom(true, (client, { name }) => client.ask("history", name, { limit: 10 }))],
  [
    3,
    withRoom(true, (client, { name }, random) => client.ask(random.pick(["who", "watch", "unwatch"]), name)),
  ],
  [2, (client) => send(client, "tell", client.userId, "note to self")],
  [2, withRoom(false, (client, { name }) => refused(client, "not_in_room", "leave", name))],
  [2, withRoom(false, (client, { name }) => refused(client, "not_in_room", "chat", "psst", name))],
  [2, (client) => refused(client, "unknown_event", "shout", "hey")],
  [1, (client) => refused(client, "unknown_event", "auth", "a.b.c")],
  [2, (client) => refused(client, "bad_payload", "join", "")],
  [2, (client) => refused(client, "bad_payload", "chat", { text: "hey" })],
  [1, (client) => refused(client, "too_large", "chat", tooLarge)],
  [1, (client) => refused(client, "too_large", "notice", tooLarge)],
];

/** Performs this many actions at a human pace. */
async function act(scenario: Scenario, client: Client, random: Random, count: number): Promise<void> {
  for (let left = count; left > 0 && !scenario.isOver; left--) {
    await random.weighted(actions)(client, random, scenario);
    await scenario.pause(random.between(50, 1_500));
  }
}

const namespaces: NamespaceName[] = ["/", "/", "/chat"];

/** The namespace, userId and rooms of a new client: most name rooms in their handshake. */
function handshake(scenario: Scenario, userId: string, random: Random): [NamespaceName, string, Room[]] {
  const namespace = random.pick(namespaces);
  return [namespace, userId, random.some(scenario.roomsOf(namespace), random.between(0, 2))];
}

/** The ways in which every client can leave. */
const exits: ((client: Client) => Promise<void>)[] = [
  bye,
  (client) => lose(client, "client namespace disconnect", () => client.disconnect()),
  (client) => lose(client, "transport close", () => client.close()),
];

async function visit(scenario: Scenario, client: Client, random: Random): Promise<void> {
  await act(scenario, client, random, random.between(3, 15));
  await random.pick(exits)(client);
}

/** A hand-driven WebSocket client that sometimes pauses reading and may drop without a close packet. */
export const talker: Behavior = async (scenario, userId, random) => {
  const client = await scenario.socketClient(...handshake(scenario, userId, random));
  await act(scenario, client, random, random.between(1, 7));
  if (random.chance(0.3)) await pause(scenario, client, random);
  if (random.chance(0.5)) return visit(scenario, client, random);
  await lose(client, "transport close", () => drop(client, random.chance(0.3)));
};

/** Stops reading for a time too short to be disconnected for it. */
async function pause(scenario: Scenario, { engine }: SocketClient, random: Random): Promise<void> {
  engine.pause();
  await scenario.pause(random.between(200, 800));
  engine.resume();
}

function drop(client: SocketClient, isSending: boolean): void {
  if (isSending) {
    client.tell("notice", "and g—");
    client.counts.perhapsAnswered(client.namespace, "notice", ["ok"]);
  }
  client.engine.drop();
}

/** Uses both namespaces over one connection. */
export const commuter: Behavior = async (scenario, userId, random) => {
  const engine = await scenario.openWebSocket().opened;
  const connect = (namespace: NamespaceName) =>
    enter(random.some(scenario.roomsOf(namespace), 1), (names) =>
      new RawClient(engine, scenario.counts, namespace, userId).connect(names),
    );
  const [root, chat] = [await connect("/"), await connect("/chat")];
  await Promise.all([root, chat].map((client) => act(scenario, client, random, random.between(2, 8))));
  const drop = () => lose(chat, "transport close", () => engine.drop());
  if (random.chance(0.3)) await sayBye(root).then(drop);
  else await lose(root, "transport close", drop);
};

/** A hand-driven polling client. */
export const poller: Behavior = async (scenario, userId, random) =>
  visit(scenario, await scenario.pollingClient(...handshake(scenario, userId, random)), random);

/** A socket.io-client over a WebSocket. */
export const realClient: Behavior = async (scenario, userId, random) =>
  visit(scenario, await scenario.realClient(...handshake(scenario, userId, random), "websocket"), random);

/** A socket.io-client that polls. */
export const realPoller: Behavior = async (scenario, userId, random) =>
  visit(scenario, await scenario.realClient(...handshake(scenario, userId, random), "polling"), random);

/** A socket.io-client that starts with polling and upgrades. */
export const upgrader: Behavior = async (scenario, userId, random) => {
  const client = await scenario.realClient(...handshake(scenario, userId, random), "polling", "websocket");
  await client.upgraded();
  await visit(scenario, client, random);
};

const slowBytesPerSecond = 300_000;
const slowTextChars = 20_000;

/**
 * Reads continuously, but more slowly than others send to its room. The server may throttle the senders, but
 * the reader must receive every message once and in order.
 */
export const slowReader: Behavior = async (scenario, userId, random) => {
  const namespace = random.pick(namespaces);
  const room = scenario.privateRoom(namespace, "busy");
  const senders = await Promise.all(
    [0, 1].map((n) => scenario.socketClient(namespace, `to-${n}-${userId}`, [room])),
  );
  const reader = await scenario.socketClient(namespace, `slow-${userId}`, [room]);
  reader.engine.throttle(slowBytesPerSecond);
  const heard: number[] = [0, 0];
  reader.onRawMessage = (body) => {
    const [, sender, n] = body.match(/"text":"<= (\d)-(\d+) /) ?? [];
    if (sender === undefined) return;
    if (heard[Number(sender)] !== Number(n)) scenario.counts.problem("a slow reader missed a message");
    heard[Number(sender)] = Number(n) + 1;
  };
  const sent = await Promise.all(
    senders.map((sender, n) => talkFast(sender, n, random.between(1_500_000, 2_500_000) / slowTextChars)),
  );
  const isComplete = () => sent.every((count, n) => heard[n] === count);
  for (let waits = 0; !isComplete() && !reader.isLost && waits < 600; waits++) await sleep(100);
  if (!isComplete()) {
    const end = reader.isLost ? await reader.engine.closed : "still connected";
    throw new Error(`heard ${heard} of ${sent} messages: ${JSON.stringify(end)}`);
  }
  for (const client of [reader, ...senders]) await bye(client);
};

/** Sends numbered messages as fast as the server accepts them. @returns how many */
async function talkFast(sender: SocketClient, index: number, count: number): Promise<number> {
  sender.isTimed = false;
  let sent = 0;
  while (sent < count) {
    const { error } = await within(
      "room for a fast sender",
      chat(sender, `${index}-${sent} ${"x".repeat(slowTextChars)}`),
    );
    if (error) await sleep(error.retryAfterMs ?? 100);
    else sent++;
  }
  return sent;
}
