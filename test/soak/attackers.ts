import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Message, NamespaceName } from "../../src/protocol.ts";
import { within } from "../support/deferred.ts";
import type { EngineClient } from "../support/engine-client.ts";
import { enginePath, exchange, httpRequest, type Version } from "../support/http.ts";
import { WebSocketClient } from "../support/websocket-client.ts";
import { type Client, RawClient } from "./clients.ts";
import type { RealClient } from "./real-client.ts";
import { add, bye, enter, lose, type Room, remove } from "./rooms.ts";
import type { Behavior, Scenario, SocketClient } from "./scenario.ts";
import { settings } from "./server-process.ts";

/*
 * Clients that try to harm the server or others. The server may treat them in any way, as long as every
 * well-behaved client is served and the attackers leave nothing behind.
 */

const namespaces: NamespaceName[] = ["/", "/chat"];

/** Drops the client's connection, unless the server has ended it already. */
export function goAway(client: RawClient): void {
  for (const event of client.unanswered) {
    client.counts.perhapsAnswered(client.namespace, event, [
      "ok",
      "rate_limited",
      "bad_payload",
      "too_large",
    ]);
  }
  client.counts.endedByOneOf(client.namespace);
  client.engine.drop();
}

export const repeated = (bytes: Buffer, totalBytes: number): Buffer =>
  Buffer.concat(Array(Math.ceil(totalBytes / bytes.length)).fill(bytes));

// Pipelined requests

/**
 * Sends thousands of requests on one connection, reads the responses or not, and may disconnect at any
 * moment.
 */
export const pipeliner: Behavior = async (scenario, _userId, random) => {
  const { server, counts } = scenario;
  const isPolling = random.chance(0.5);
  const session = await (isPolling ? scenario.openPolling() : scenario.openWebSocket()).opened;
  const target = random.pick([
    enginePath(4, "websocket", `sid=${session.sid}`),
    enginePath(4, "polling", `sid=${session.sid}`),
    "/",
    "/socket.io/socket.io.js",
  ]);
  const socket = connect(Number(new URL(server.url).port), "127.0.0.1").on("error", () => {});
  if (random.chance(0.5)) socket.resume();
  const block = repeated(httpRequest(target), 100_000);
  for (let n = random.between(1, 20); n > 0 && socket.writable; n--) {
    if (!socket.write(block)) await within("a drain", Promise.race([settled(socket, "drain"), sleep(500)]));
  }
  if (random.chance(0.5)) await Promise.race([settled(socket, "close"), sleep(random.between(0, 3_000))]);
  if (random.chance(0.5)) socket.destroy();
  else socket.resetAndDestroy();
  session.drop();
  counts.unread(100_000);
};

const settled = (socket: Socket, event: string) =>
  new Promise<void>((resolve) => socket.once(event, () => resolve()).once("close", () => resolve()));

// Amplification

const audienceSize = 8;
const longName = "n".repeat(115);

/**
 * Is in many rooms with long names, and many times in one write joins and leaves a room that has other
 * members.
 */
export const joinLeaveAmplifier: Behavior = async (scenario, userId, random) => {
  const namespace = random.pick(namespaces);
  const room = scenario.privateRoom(namespace, longName);
  const audience: SocketClient[] = [];
  for (let n = 0; n < audienceSize; n++) {
    audience.push(await scenario.socketClient(namespace, `audience-${n}-of-${userId}`, [room]));
  }
  const [observer] = audience as [SocketClient];
  room.observeBy(observer);
  const others = Array.from({ length: settings["max-rooms"] - 1 }, () =>
    scenario.privateRoom(namespace, longName),
  );
  const client = await scenario.socketClient(namespace, userId, [...others, room]);
  client.isTimed = false;
  for (let n = random.between(1, 5); n > 0 && !client.isLost; n--) await joinAndLeave(client, room, 15);
  if (client.isLost) await afterLoss(client, room, audience);
  else await lose(client, "transport close", () => client.engine.drop());
  for (const member of audience) await bye(member);
};

async function joinAndLeave(client: SocketClient, room: Room, pairs: number): Promise<void> {
  const moves: Promise<void>[] = [];
  client.engine.socket.cork();
  for (let n = 0; n < pairs; n++) moves.push(move(client, "leave", room), move(client, "join", room));
  client.engine.socket.uncork();
  await Promise.allSettled(moves);
}

async function move(client: SocketClient, event: "join" | "leave", room: Room): Promise<void> {
  const { error } = await client.ask(event, room.name);
  if (error) return;
  if (event === "leave") remove(client, room);
  else if (!client.rooms.has(room)) add(client, room);
}

/**
 * Accounts for a client that the server ended during its moves: how many of them took effect is not known.
 */
async function afterLoss(client: SocketClient, room: Room, audience: SocketClient[]): Promise<void> {
  const { counts, namespace } = client;
  const most = (client.unanswered.length + settings["max-rooms"]) * (audience.length + 1);
  counts.delivered(namespace, most, most);
  counts.unheard(most);
  goAway(client);
  room.size = audience.length;
  const [observer] = audience as [SocketClient];
  for (let waits = 0; (await observer.ask("join", room.name)).members !== room.size; waits++) {
    if (waits > 100) throw new Error("an ended client is still a member");
    await sleep(100);
  }
}

// Theft of sessions

type Victim = (scenario: Scenario, room: Room) => Promise<{ client: Client; sid: string }>;

const rawVictim =
  (version: Version, transport: "openPolling" | "openWebSocket"): Victim =>
  async (scenario, room) => {
    const client = await enter([room], async ([name]) => {
      const engine: EngineClient = scenario[transport]({ version, query: [`room=${name}`] });
      // The packets that follow the handshake may arrive together with it.
      const client = new RawClient(engine, scenario.counts, "/", "");
      await engine.opened;
      // Without a userId, so that the server assigns one, which other members receive.
      return client.connect([], { room: name });
    });
    return { client, sid: transport === "openWebSocket" ? client.engine.sid : "" };
  };

/**
 * Victims on a WebSocket, whose sid the thief is given, and victims of which it knows only what members
 * receive.
 */
const victims: Victim[] = [
  rawVictim(3, "openWebSocket"),
  rawVictim(4, "openWebSocket"),
  rawVictim(3, "openPolling"),
  rawVictim(4, "openPolling"),
  async (scenario, room) => {
    const client: RealClient = await scenario.realClient("/", "victim", [room], "polling", "websocket");
    await client.upgraded();
    return { client, sid: client.socket.io.engine.id };
  },
];

/**
 * Tries to use another client's session: with its sid, if the session uses a WebSocket, and with every id
 * that other members receive from its owner.
 */
export const sidThief: Behavior = async (scenario, userId, random) => {
  const room = scenario.privateRoom("/");
  const companion = await scenario.socketClient("/", `with-${userId}`, [room]);
  const known = new Set<string>();
  companion.onMessage = (message: Message) => {
    for (const value of [message.userId, message.id]) known.add(value);
    if (message.text.includes("stolen"))
      scenario.counts.problem("a stolen session was used to send a message");
  };
  const { client, sid } = await random.pick(victims)(scenario, room);
  await companion.ask("notice", "settled");
  for (const id of [...known, sid])
    if (id) for (const version of [3, 4] as const) await steal(scenario, id, version);
  for (const one of [client, companion]) {
    if ((await one.ask("notice", "still here?")).error) throw new Error("a victim was not served");
  }
  await bye(client);
  await bye(companion);
};

async function steal({ server, counts }: Scenario, id: string, version: Version): Promise<void> {
  counts.perhapsRefused("foreign_session", 3);
  const url = server.url + enginePath(version, "polling", `sid=${encodeURIComponent(id)}`);
  const said = '42["chat","stolen"]';
  for (const init of [{}, { method: "POST", body: version === 3 ? `${said.length}:${said}` : said }]) {
    const { status } = await exchange(url, { ...init, signal: AbortSignal.timeout(5_000) });
    if (status < 400) counts.problem(`a thief's ${init.method ?? "poll"} was answered with ${status}`);
  }
  const engine = new WebSocketClient(server.url, { version, sid: id, traffic: counts });
  for (const packet of ["2probe", "5", said]) engine.send(packet, true);
  await within("the end of a thief's WebSocket", engine.closed);
}
