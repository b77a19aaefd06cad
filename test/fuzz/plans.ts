import { enginePath as engine, httpRequest as request, upgradeRequest as upgrade } from "../support/http.ts";
import { Random } from "../support/random.ts";
import { conversation, type Packet, text } from "./conversation.ts";
import { controlFrame, malformed, unfinished } from "./frames.ts";
import { flipped, mutated, spliced } from "./mutations.ts";
import { files, foreignSid, malformedRequest, ownSid } from "./requests.ts";
import { Script, type Step } from "./script.ts";

/** The steps of session number `index` of a run, which depend only on the seed. */
export function plan(seed: number, index: number): Step[] {
  const random = Random.of(seed, index);
  const script = new Script(random);
  random.weighted(plans)(script);
  if (random.chance(0.2)) script.steps.splice(random.between(1, script.steps.length));
  leave(script);
  return script.steps;
}

const plans: readonly (readonly [weight: number, plan: (script: Script) => void])[] = [
  [6, webSocket],
  [6, polling],
  [6, upgrading],
  [3, brokenFrames],
  [4, brokenRequests],
  [3, pipelining],
  [3, fragmenting],
  [1, flood],
];

/** The packets of this session, valid or mutated. */
function said({ random, version }: Script): Packet[] {
  const packets = conversation(random, version);
  return random.chance(0.5) ? mutated(random, packets) : packets;
}

/**
 * Groups of packets that are sent at once. The server must answer the first group before it accepts the
 * others.
 */
function groups({ random }: Script, packets: Packet[]): Packet[][] {
  const greetings = packets.findIndex(({ data }) => !data.toString().startsWith("40"));
  const result = greetings > 0 ? [packets.slice(0, greetings)] : [];
  for (let rest = packets.slice(Math.max(0, greetings)); rest.length > 0; ) {
    const count = random.chance(0.6) ? 1 : random.between(2, 6);
    result.push(rest.slice(0, count));
    rest = rest.slice(count);
  }
  return result;
}

/** Opens a WebSocket; the first frames may follow in the same write as the upgrade request. */
function openWebSocket(script: Script): number {
  const { random, version, query } = script;
  const on = script.socket();
  const bytes = upgrade(engine(version, "websocket", ...query));
  script.send(on, random.chance(0.03) ? flipped(random, bytes) : bytes, { requests: 1 });
  if (random.chance(0.85)) script.await(on, "sid");
  return on;
}

function speak(script: Script, on: number, what = groups(script, said(script))): void {
  for (const [index, group] of what.entries()) {
    script.frames(on, ...group);
    if (script.random.chance(index === 0 ? 0.9 : 0.4)) script.await(on, "answer");
    if (script.random.chance(0.1)) script.pause(30);
  }
}

function webSocket(script: Script): void {
  const on = openWebSocket(script);
  speak(script, on);
  if (script.random.chance(0.05)) script.pause(1_500);
}

function brokenFrames(script: Script): void {
  const { random } = script;
  const on = openWebSocket(script);
  if (random.chance(0.7)) speak(script, on);
  for (const bytes of random.several(1, 3, () => malformed(random))) {
    script.send(on, random.chance(0.2) ? spliced(random, bytes, malformed(random)) : bytes, { packets: 1 });
  }
  if (random.chance(0.5)) speak(script, on);
  if (random.chance(0.5)) script.await(on, "end");
}

/** Posts and polls: in turn, at once, or all on one connection. */
function polling(script: Script): void {
  const { random } = script;
  const first = script.socket();
  const next = random.chance(0.3) ? () => first : () => script.socket();
  const patience = random.pick([0, 0.5, 1]);
  script.openPolling(first);
  for (const [index, group] of groups(script, said(script)).entries()) {
    const [post, poll] = [next(), next()];
    script.post(post, group, random.chance(0.03) ? foreignSid : ownSid);
    if (random.chance(index === 0 ? 0.9 : patience)) script.await(post, "answer");
    if (random.chance(0.5)) script.poll(poll);
    if (random.chance(patience * 0.5)) script.await(poll, "answer");
    if (random.chance(0.1)) script.pause(30);
  }
  if (random.chance(0.5)) script.poll(script.socket());
  if (random.chance(0.05)) script.pause(1_500);
}

/** The packets that upgrade a session to a WebSocket: first in the valid order, then in invalid ones. */
const probes: readonly string[][] = [
  ["2probe", "", "5"],
  ["2probe", "", "5"],
  ["2probe", "", "5"],
  ["2probe", "", "5"],
  ["2probe", "5"],
  ["5"],
  ["5", "5"],
  ["2probe", "2probe", "", "5", "5"],
  ["2probe", "5", "", "2probe", "5"],
  ["2probe"],
  ["2"],
  ["3probe"],
  ["2probe", '42["join","lobby"]', "5"],
  ["1"],
  [],
];

function probe(script: Script, on: number): void {
  const { random } = script;
  const sid = random.chance(0.08) ? foreignSid : ownSid;
  script.send(on, upgrade(script.address("websocket", sid)), { requests: 1 });
  if (random.chance(0.8)) script.await(on, "answer");
  for (const frame of random.pick(probes)) {
    if (frame === "") script.await(on, "answer");
    else script.frames(on, random.chance(0.03) ? { binary: true, data: Buffer.from(frame) } : frame);
  }
}

function upgrading(script: Script): void {
  const { random } = script;
  const [greeting = [], ...rest] = groups(script, said(script));
  script.openPolling(script.socket());
  const post = script.socket();
  script.post(post, greeting);
  if (random.chance(0.8)) script.await(post, "answer");
  if (random.chance(0.6)) script.poll(script.socket());
  const on = script.socket();
  probe(script, on);
  if (random.chance(0.15)) probe(script, script.socket());
  if (random.chance(0.2)) script.post(script.socket(), [text('42["join","den"]')]);
  if (random.chance(0.2)) script.poll(script.socket());
  speak(script, on, rest);
  if (random.chance(0.2)) script.send(on, malformed(random), { packets: 1 });
}

function brokenRequests(script: Script): void {
  const { random } = script;
  const first = script.socket();
  if (random.chance(0.7)) script.openPolling(first);
  if (random.chance(0.5)) script.post(script.socket(), [text("40")]);
  for (let n = random.between(1, 4); n > 0; n--) {
    const on = random.chance(0.2) ? first : script.socket();
    script.send(on, malformedRequest(random), { requests: 1 });
    if (random.chance(0.5)) script.await(on, "answer");
    if (random.chance(0.2)) script.end(on);
  }
}

/**
 * Many requests in one write or two, to a session over polling or a WebSocket, perhaps with an upgrade at the
 * end.
 */
function pipelining(script: Script): void {
  const { random } = script;
  const on = script.socket();
  if (random.chance(0.7)) script.openPolling(on);
  else openWebSocket(script);
  const pipelined = random.chance(0.7) ? on : script.socket();
  const requests = random.several(2, random.pick([10, 40, 400]), () => random.weighted(pipelinable)(script));
  const bytes = Buffer.concat(requests);
  const counts = { requests: requests.length };
  if (random.chance(0.3)) script.sendInPieces(pipelined, bytes, counts);
  else script.send(pipelined, bytes, counts);
  if (random.chance(0.2)) script.mute(pipelined);
  if (random.chance(0.2)) script.send(pipelined, upgrade(script.address("websocket")), { requests: 1 });
  if (random.chance(0.2)) speak(script, pipelined);
  if (random.chance(0.3)) script.await(pipelined, random.pick(["answer", "end"]));
  if (random.chance(0.5)) script.reset(pipelined);
}

/** The requests of a pipeline and their weights. */
const pipelinable: readonly (readonly [weight: number, make: (script: Script) => Buffer])[] = [
  [4, (script) => request(script.address("polling"))],
  [2, (script) => request(script.address("polling"), { method: "POST", body: "40" })],
  [3, (script) => request(script.address("websocket"))],
  [1, (script) => request(script.address("polling", foreignSid))],
  [2, ({ version, query }) => request(engine(version, "polling", ...query))],
  [4, ({ random }) => request(random.pick(files), { method: random.pick(["GET", "GET", "HEAD"]) })],
  [1, ({ random }) => malformedRequest(random)],
];

/**
 * Many valid control frames and fragments among a client's packets, then a message that is never finished.
 */
function fragmenting(script: Script): void {
  const { random, version } = script;
  const on = openWebSocket(script);
  const packets = said(script);
  for (const packet of packets) {
    const controls = random.several(0, random.pick([2, 200]), () => controlFrame(random));
    if (controls.length > 0) script.send(on, Buffer.concat(controls), { packets: controls.length });
    if (random.chance(0.7)) script.frames(on, packet);
    if (random.chance(0.3)) script.await(on, "answer");
  }
  const bytes = unfinished(random, packets[0] ?? text("40"), version);
  if (random.chance(0.2)) for (const byte of bytes.subarray(0, 60)) script.send(on, Buffer.from([byte]));
  else script.send(on, bytes, { packets: 1 });
  if (random.chance(0.3)) script.await(on, "end");
}

/** Requests much and reads nothing. */
function flood(script: Script): void {
  const { random } = script;
  const on = openWebSocket(script);
  script.frames(on, '40{"room":["flood"]}', '42["join","flood"]');
  if (random.chance(0.7)) script.mute(on);
  const packet = text(`42["chat",${JSON.stringify("x".repeat(random.between(0, 16_000)))},"flood"]`);
  for (let n = random.between(1, 10); n > 0; n--) script.frames(on, ...Array(10).fill(packet));
  script.pause(300);
}

/** Ends each socket in a random way or leaves it open, half the time only after a pause. */
function leave(script: Script): void {
  if (script.random.chance(0.5)) script.pause(60);
  for (let on = 0; on < script.sockets; on++) {
    const how = script.random.weighted<"reset" | "end" | "mute" | undefined>([
      [4, "reset"],
      [3, "end"],
      [1, "mute"],
      [2, undefined],
    ]);
    if (how) script[how](on);
  }
}
