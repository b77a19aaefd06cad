import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, type TestContext, test } from "node:test";
import { scripts } from "../src/redis/scripts/scripts.ts";
import { makeCertificate } from "./support/certificate.ts";
import { client, connect, enter } from "./support/client.ts";
import { type Command, runCommand } from "./support/command.ts";
import { skipWithout, skipWithoutSignals } from "./support/programs.ts";
import { freePort } from "./support/proxy.ts";
import { engineUrl } from "./support/raw.ts";
import { type RedisServer, startRedis } from "./support/redis.ts";
import { until } from "./support/until.ts";

const skip = skipWithout("redis");
const password = "s3cr3t";

/** Starts the command with a URL of Redis, which is hidden in a variable. */
const start = (t: TestContext, url: string, env: Record<string, string> = {}): Command =>
  runCommand(t, ["--port", "0", "--node-timeout", "1000"], { REDIS: url, ...env });

/** The status and the body of `/readyz`. */
async function readiness(url: string): Promise<[status: number, reason: string | undefined]> {
  const response = await fetch(`${url}/readyz`);
  return [response.status, (await response.json()).reason];
}

const isReady = (url: string) => until(async () => assert.deepEqual(await readiness(url), [200, undefined]));

/** The URL of a Redis as this user. */
const as = (user: string, { port }: RedisServer) => `redis://${user}:${password}@127.0.0.1:${port}`;

/** Asserts that the start ends with one sentence, which does not contain the password. */
async function assertEnds(command: Command, sentence: RegExp): Promise<void> {
  assert.equal(await command.exit(), 1, command.stdout);
  assert.match(command.stderr, sentence);
  assert.equal(command.stderr.trim().split("\n").length, 1, command.stderr);
  assert.equal(command.stdout, "");
  assert.equal(command.stderr.includes(password), false);
}

test("an invalid URL of Redis ends the start with one sentence", (t) =>
  assertEnds(start(t, `redis://:${password}@127.0.0.1/room`), /^REDIS must be a redis:.* URL\.\n$/));

describe("Redis that refuses what its URL says", { skip }, () => {
  test("ends the start if the password is wrong or missing", async (t) => {
    const redis = await startRedis(t);
    await redis.command("CONFIG", "SET", "requirepass", "another");
    const refused = new RegExp(
      `^Redis at 127\\.0\\.0\\.1:${redis.port} cannot be used: it refuses the user or the password in its URL\\.\\n$`,
    );
    for (const url of [redis.url, as("", redis), as("nobody", redis)])
      await assertEnds(start(t, url), refused);
  });

  test("ends the start if the user lacks rights", async (t) => {
    const redis = await startRedis(t);
    const all = ["on", `>${password}`, "+@all"];
    for (const [user, rights, sentence] of [
      ["reader", ["on", `>${password}`, "~*", "&*", "+info", "+ping"], /^Redis at .*: NOPERM .*'eval/],
      ["no-keys", [...all, "&*"], /^Redis at .*: ERR The user executing the script can't access .* keys/],
      ["no-channels", [...all, "~*", "resetchannels"], /^Redis at .*: NOPERM .* channels/],
      ["no-zadd", [...all, "~*", "&*", "-zadd"], /^Redis at .*: ERR The user executing the script can't run/],
    ] as const) {
      await redis.command("ACL", "SETUSER", user, ...rights);
      await assertEnds(start(t, as(user, redis)), sentence);
    }
  });

  test("ends the start if there is no such database", async (t) => {
    const redis = await startRedis(t);
    await assertEnds(
      start(t, `${redis.url}/99`),
      /^Redis at .* cannot be used: ERR DB index is out of range/,
    );
  });
});

describe("Redis that cannot be reached at the start", { skip }, () => {
  test("is waited for, and new sessions are refused until then", async (t) => {
    const redis = await startRedis(t);
    await redis.shutDown();
    const command = start(t, redis.url);
    const url = await command.ready();
    const address = `127.0.0.1:${redis.port}`;
    assert.deepEqual(await readiness(url), [503, `Redis at ${address} does not answer`]);
    assert.match(
      command.stdout,
      new RegExp(`"msg":"Redis at ${address} cannot be used: connect ECONNREFUSED`),
    );
    assert.match(command.stdout, new RegExp(`"msg":"waiting for Redis at ${address}"`));
    const early = client(t, url);
    const refused = await fetch(engineUrl(url, "polling"));
    assert.deepEqual([refused.status, (await refused.json()).code], [503, "unavailable"]);
    await redis.start();
    await isReady(url);
    await until(() => assert.equal(early.connected, true));
    // The attempts in between are not logged.
    assert.equal(command.stdout.split("cannot be used").length, 2, command.stdout);
    assert.equal(command.stdout.split("answers again").length, 2, command.stdout);
  });

  test("is waited for if it accepts connections but does not answer", {
    skip: skipWithoutSignals,
  }, async (t) => {
    const redis = await startRedis(t);
    redis.suspend();
    const command = start(t, redis.url);
    const url = await command.ready();
    assert.equal((await readiness(url))[0], 503);
    redis.resume();
    await isReady(url);
  });
});

test("a user with the documented rights is enough", { skip }, async (t) => {
  const document = readFileSync(new URL("../asset/docs/deployment.md", import.meta.url), "utf8");
  const [, rights = ""] = document.match(/^user roomcast on >PASSWORD (.*(?:\\\n.*)*)$/m) ?? [];
  const redis = await startRedis(t);
  const rules = rights.split(/\s+/).filter((rule) => rule !== "");
  await redis.command("ACL", "SETUSER", "roomcast", "on", `>${password}`, ...rules);
  const [one, two] = [start(t, as("roomcast", redis)), start(t, as("roomcast", redis))];
  const [first, second] = [await one.ready(), await two.ready()];
  await Promise.all([isReady(first), isReady(second)]);
  const ann = await enter(t, first, "ann", "lobby");
  const bob = await enter(t, second, "bob", "lobby");
  await ann.ask("watch", "lobby");
  const receipt = await bob.ask("chat", "hello", { room: "lobby", id: "1" });
  assert.equal(receipt.recipients, 2);
  assert.equal((await bob.ask("chat", "hello", { room: "lobby", id: "1" })).duplicate, true);
  await ann.hears("<= hello");
  assert.equal((await bob.ask("publish", "lobby", 1, { transient: true })).recipients, 2);
  assert.equal((await ann.ask("history", "lobby")).messages.length, 1);
  assert.equal((await ann.ask("who", "lobby")).total, 2);
  assert.equal((await ann.ask("tell", "bob", "psst")).recipients, 1);
  assert.equal((await ann.ask("whisper", bob.socket.id, "psst")).recipients, 1);
  assert.equal((await bob.ask("leave", "lobby")).members, 1);
  assert.equal((await bob.ask("join", "lobby", { since: receipt.offsets.lobby })).status, "complete");
  // The other node removes the members of a killed one.
  two.process.kill("SIGKILL");
  await ann.hears("disconnected!");
  // What was denied is in this log.
  assert.deepEqual(await redis.command("ACL", "LOG"), []);
  assert.doesNotMatch(one.stdout + two.stdout, /cannot be used/);
  assert.doesNotMatch(one.stdout + one.stderr, new RegExp(password));
});

test("the documented rights are those that the scripts need", { skip }, () => {
  const document = readFileSync(new URL("../asset/docs/deployment.md", import.meta.url), "utf8");
  const [, rights = ""] = document.match(/^user roomcast on >PASSWORD (.*(?:\\\n.*)*)$/m) ?? [];
  const needed = [
    ...Object.values(scripts)
      .join()
      .matchAll(/redis\.call\('([A-Z]+)'/g),
  ].map(([, name = ""]) => name.toLowerCase());
  // What the connections need, and to read the settings about which the server warns.
  needed.push("eval", "evalsha", "subscribe", "unsubscribe", "ping", "info", "select", "config|get");
  const granted = [...rights.matchAll(/\+(\S+)/g)].map(([, name]) => name);
  assert.deepEqual(granted.toSorted(), [...new Set(needed)].toSorted());
});

test("Redis is used over TLS if its certificate is trusted", {
  skip: skip || skipWithout("openssl"),
}, async (t) => {
  const redis = await startRedis(t);
  const { cert, key } = makeCertificate("redis");
  const port = await freePort();
  const files = ["tls-cert-file", cert, "tls-key-file", key];
  await redis.command("CONFIG", "SET", ...files, "tls-auth-clients", "no", "tls-port", port);
  const url = `rediss://127.0.0.1:${port}`;
  const distrusting = start(t, url);
  await distrusting.ready();
  assert.match(distrusting.stdout, /cannot be used: self-signed certificate/);
  const trusting = await start(t, url, { NODE_EXTRA_CA_CERTS: cert }).ready();
  await isReady(trusting);
  const ann = await connect(t, trusting, { query: { room: "lobby" } });
  assert.equal((await ann.ask("chat", "hello")).recipients, 1);
});
