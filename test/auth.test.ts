import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { type CryptoKey, exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import type { Authenticator, Permissions } from "../src/auth/permissions.ts";
import type { Dispatcher } from "../src/namespaces/dispatcher.ts";
import { coreOf } from "../src/roomcast.ts";
import { type ClientOptions, client, connect, enter, next } from "./support/client.ts";
import { openRaw } from "./support/raw.ts";
import { type RunningServer, startServer } from "./support/server.ts";
import { authSecret, now, secret, token } from "./support/tokens.ts";
import { until } from "./support/until.ts";

/** Connects a client that the server must refuse. @returns the error that the client receives */
async function turnedAway(t: TestContext, url: string, options: ClientOptions) {
  const [error] = await next(client(t, url, options), "connect_error");
  return error.data as { code: string; message: string };
}

const withToken = (token: unknown): ClientOptions => ({ auth: { token } });

test("the token's `sub` overrides the handshake's userId", async (t) => {
  const { url } = await startServer(t, { authSecret });
  const auth = { token: await token({ sub: "ann" }), userId: "mallory", room: "lobby" };
  const ann = await connect(t, url, { auth, query: { userId: "mallory" } });
  assert.equal((await ann.hears("connected!")).userId, "ann");
  await ann.hears("<= ann join lobby");
});

for (const transport of ["polling", "websocket"]) {
  test(`accepts a token in the Authorization: Bearer header over ${transport}`, async (t) => {
    const { url } = await startServer(t, { authSecret });
    const extraHeaders = { authorization: `Bearer ${await token()}` };
    const ann = await connect(t, url, { extraHeaders, transports: [transport] });
    assert.equal((await ann.hears("connected!")).userId, "ann");
  });
}

describe("refuses clients without a valid token on both namespaces, without details:", () => {
  const other = new TextEncoder().encode("another secret of no less than 32 characters");
  const bad: Record<string, () => unknown> = {
    "no token": () => undefined,
    "an empty token": () => "",
    "a number": () => 7,
    "an object": () => ({ toString: "x" }),
    "plain words": () => "let me in",
    "three dots": () => "...",
    "20,000 characters": () => "x".repeat(20_000),
    "a token signed with another key": () => token({}, other),
    "a token signed with HS512": () => token({}, secret, "HS512"),
    "a token with altered claims": async () => {
      const [head, , signature] = (await token()).split(".");
      const claims = Buffer.from(JSON.stringify({ sub: "root", exp: now() + 60 })).toString("base64url");
      return [head, claims, signature].join(".");
    },
    "a token with a truncated signature": async () => (await token()).slice(0, -4),
    "a token without a signature": async () => (await token()).split(".").slice(0, 2).concat("").join("."),
    'a token signed with "none"': () => new UnsecuredJWT({ sub: "ann" }).encode(),
    "a token without a sub": () => new SignJWT({}).setProtectedHeader({ alg: "HS256" }).sign(secret),
    "a token whose rooms are a number": () => token({ rooms: 7 }),
    "a token that is not valid yet": () => token({ nbf: now() + 30 }),
  };
  for (const [title, make] of Object.entries(bad)) {
    test(title, async (t) => {
      const { url, logs } = await startServer(t, { authSecret });
      for (const namespace of ["/", "/chat"]) {
        const shown = withToken(await make());
        const error = await turnedAway(t, url + namespace, shown);
        assert.deepEqual(error, { code: "unauthorized", message: "This server asks for a valid token." });
      }
      assert.deepEqual(
        logs.filter(({ level }) => Number(level) >= 40),
        [],
      );
    });
  }

  test("an expired token, but with the code token_expired", async (t) => {
    const { url } = await startServer(t, { authSecret });
    const { code } = await turnedAway(t, url, withToken(await token({ exp: now() - 6 })));
    assert.equal(code, "token_expired");
  });
});

test("requires the issuer and the audience in the token if they are set", async (t) => {
  const { url } = await startServer(t, {
    authSecret,
    authIssuer: "https://id.example",
    authAudience: "rooms",
  });
  await connect(t, url, withToken(await token({ iss: "https://id.example", aud: ["rooms", "mail"] })));
  for (const claims of [
    {},
    { iss: "https://id.example", aud: "mail" },
    { iss: "https://other.example", aud: "rooms" },
  ]) {
    assert.equal((await turnedAway(t, url, withToken(await token(claims)))).code, "unauthorized");
  }
});

test("tolerates a clock skew of up to five seconds", async (t) => {
  const { url } = await startServer(t, { authSecret });
  await connect(t, url, withToken(await token({ exp: now() - 3 })));
  await connect(t, url, withToken(await token({ nbf: now() + 3 })));
});

test("the token's rooms limit joins and the rooms named in the handshake", async (t) => {
  const { url } = await startServer(t, { authSecret });
  const shown = await token({ rooms: ["lobby", "team-*"] });
  const refused = await turnedAway(t, url, { auth: { token: shown, room: ["lobby", "attic"] } });
  assert.deepEqual(refused, { code: "forbidden", message: "The token does not allow the room attic." });
  const ann = await connect(t, url, { auth: { token: shown, room: "team-a" } });
  assert.equal((await ann.ask("join", "lobby")).members, 1);
  assert.equal((await ann.ask("join", "team-")).members, 1);
  for (const room of ["attic", "team", "Team-a", "lobby2", "*"]) {
    assert.equal((await ann.ask("join", room)).error.code, "forbidden", room);
  }
  const nobody = await connect(t, url, withToken(await token({ rooms: [] })));
  assert.equal((await nobody.ask("join", "lobby")).error.code, "forbidden");
});

test("notifies a connection that its token expired and ends it after the grace period", async (t) => {
  const { url, logs } = await startServer(t, { authSecret, authGraceMs: 50 });
  const bob = await connect(t, url, { auth: { token: await token({ sub: "bob" }), room: "lobby" } });
  const ann = await connect(t, url, { auth: { token: await token({ exp: now() - 4 }), room: "lobby" } });
  const gone = next(ann.socket, "disconnect");
  const [told] = await next(ann.socket, "error");
  assert.deepEqual(told, {
    event: "auth",
    error: { code: "token_expired", message: "The token has expired." },
  });
  assert.deepEqual((await gone)[0], "io server disconnect");
  await bob.hears("disconnected!");
  await until(() => assert.equal(logs.find(({ reason }) => reason !== undefined)?.reason, "token expired"));
});

test("a new token keeps the connection in the rooms that it still allows", async (t) => {
  const { url } = await startServer(t, { authSecret, authGraceMs: 60_000 });
  const auth = { token: await token({ exp: now() - 4 }), room: ["lobby", "attic"] };
  const ann = await connect(t, url, { auth });
  await next(ann.socket, "error");
  const exp = now() + 60;
  const reply = await ann.ask("auth", await token({ exp, rooms: ["lobby"] }));
  assert.deepEqual(reply, { expiresAt: (exp + 5) * 1_000, rooms: ["lobby"] });
  assert.equal((await ann.ask("join", "attic")).error.code, "forbidden");
  assert.deepEqual((await ann.ask("chat", "still here")).rooms, ["lobby"]);
});

test("a connection that sends a new token within the grace period stays", async (t) => {
  const { url } = await startServer(t, { authSecret, authGraceMs: 300 });
  const short = async (sub: string) => withToken(await token({ sub, exp: now() - 4 }));
  const [ann, bob] = [await connect(t, url, await short("ann")), await connect(t, url, await short("bob"))];
  const ended = next(bob.socket, "disconnect");
  await next(ann.socket, "error");
  await ann.ask("auth", await token());
  await ended;
  assert.equal(await ann.ask("notice", "still here"), "have still here");
  assert.equal(await ann.ask("notice", "and on"), "have and on");
});

test("a new token that is invalid or another user's changes nothing", async (t) => {
  const { url } = await startServer(t, { authSecret });
  const ann = await connect(t, url, { auth: { token: await token(), room: "lobby" } });
  assert.equal((await ann.ask("auth", await token({ sub: "bob" }))).error.code, "forbidden");
  assert.equal((await ann.ask("auth", "nonsense")).error.code, "unauthorized");
  assert.equal((await ann.ask("auth", await token({ exp: now() - 60 }))).error.code, "token_expired");
  assert.equal((await ann.ask("auth", { jwt: 1 })).error.code, "bad_payload");
  assert.deepEqual((await ann.ask("chat", "still ann")).rooms, ["lobby"]);
});

test("refuses a token if the server requires none", async (t) => {
  const { url } = await startServer(t);
  const ann = await enter(t, url, "ann", "lobby");
  const { error } = await ann.ask("auth", "x");
  assert.deepEqual(error, { code: "unknown_event", message: "This server asks for no token." });
});

for (const [what, options] of Object.entries({ "with a token": { authSecret }, "without a token": {} })) {
  test(`a client ${what} that repeats CONNECT before the server replies is disconnected`, async (t) => {
    const { url, app } = await startServer(t, options);
    const raw = await openRaw(t, url);
    const shown = JSON.stringify({ token: await token() });
    // In one write, so that the server handles all of them in one turn.
    const tcp = (raw.ws as unknown as { _socket: Socket })._socket;
    tcp.cork();
    raw.send(...Array(50).fill(`40${shown}`));
    tcp.uncork();
    await raw.closed();
    await until(() => assert.equal(app.roomcast.io.of("/").sockets.size, 0));
    assert.equal(app.roomcast.io.engine.clientsCount, 0);
    assert.match(await app.roomcast.metrics.metrics(), /roomcast_connects_total\{namespace="\/"\} [01]\n/);
  });
}

describe("with public keys", () => {
  async function keys() {
    const rs = await generateKeyPair("RS256");
    const es = await generateKeyPair("ES256");
    const jwks = {
      keys: [
        { ...(await exportJWK(rs.publicKey)), kid: "rs", alg: "RS256" },
        { ...(await exportJWK(es.publicKey)), kid: "es", alg: "ES256" },
      ],
    };
    return { rs, es, jwks };
  }
  const sign = (key: CryptoKey | Uint8Array, alg: string, kid: string) =>
    new SignJWT({ sub: "ann", exp: now() + 60 }).setProtectedHeader({ alg, kid }).sign(key);

  async function isLetIn(t: TestContext, { url }: RunningServer, shown: string) {
    const socket = client(t, url, withToken(shown));
    return Promise.race([
      next(socket, "connect").then(() => "let in"),
      next(socket, "connect_error").then(([error]) => error.data.code),
    ]);
  }

  test("from a file, accepts RS256 and ES256 tokens signed with those keys and no others", async (t) => {
    const { rs, es, jwks } = await keys();
    const authJwks = join(mkdtempSync(join(tmpdir(), "roomcast-")), "jwks.json");
    writeFileSync(authJwks, JSON.stringify(jwks));
    const server = await startServer(t, { authJwks });
    assert.equal(await isLetIn(t, server, await sign(rs.privateKey, "RS256", "rs")), "let in");
    assert.equal(await isLetIn(t, server, await sign(es.privateKey, "ES256", "es")), "let in");
    const strangers = await keys();
    assert.equal(
      await isLetIn(t, server, await sign(strangers.rs.privateKey, "RS256", "rs")),
      "unauthorized",
    );
    assert.equal(await isLetIn(t, server, await sign(rs.privateKey, "RS256", "unknown")), "unauthorized");
    // Anyone knows a public key. A token signed with it as an HMAC secret must be refused.
    for (const known of [
      await exportSPKI(rs.publicKey),
      JSON.stringify(jwks.keys[0]),
      String(jwks.keys[0]?.n),
    ]) {
      const confused = await sign(new TextEncoder().encode(known), "HS256", "rs");
      assert.equal(await isLetIn(t, server, confused), "unauthorized");
    }
    assert.equal(await isLetIn(t, server, new UnsecuredJWT({ sub: "ann" }).encode()), "unauthorized");
  });

  test("from a URL, fetches them; while that fails, refuses clients with the code internal", async (t) => {
    const { rs, jwks } = await keys();
    let status = 500;
    const issuer = createServer((_request, response) => response.writeHead(status).end(JSON.stringify(jwks)));
    await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
    t.after(() => issuer.close());
    const authJwks = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`;
    const server = await startServer(t, { authJwks });
    const shown = await sign(rs.privateKey, "RS256", "rs");
    assert.equal(await isLetIn(t, server, shown), "internal");
    assert.equal(await isLetIn(t, server, shown), "internal");
    assert.equal(await isLetIn(t, server, shown), "internal");
    const faults = () => server.logs.filter(({ level }) => Number(level) > 30).map(({ msg }) => msg);
    assert.deepEqual(faults(), ["the keys of --auth-jwks cannot be fetched: new tokens are not accepted"]);
    status = 200;
    assert.equal(await isLetIn(t, server, shown), "let in");
    assert.equal(await isLetIn(t, server, shown), "let in");
    const back = server.logs.filter(({ msg }) => msg === "the keys of --auth-jwks can be fetched again");
    assert.deepEqual([back.length, back[0]?.failures, faults().length], [1, 3, 1]);
  });

  test("waits for an unresponsive issuer no longer than the handler timeout", async (t) => {
    const issuer = createServer(() => {});
    await new Promise<void>((resolve) => issuer.listen(0, "127.0.0.1", resolve));
    t.after(() => issuer.close().closeAllConnections());
    const authJwks = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`;
    const server = await startServer(t, { authJwks, handlerTimeoutMs: 1_000 });
    const { rs } = await keys();
    const shown = await sign(rs.privateKey, "RS256", "rs");
    for (let n = 0; n < 3; n++) assert.equal(await isLetIn(t, server, shown), "timeout");
    assert.equal(server.logs.filter(({ level }) => Number(level) > 30).length, 1);
  });

  test("from a file without usable keys, fails to start with an error that names the setting", async (t) => {
    const path = join(mkdtempSync(join(tmpdir(), "roomcast-")), "jwks.json");
    await assert.rejects(
      startServer(t, { authJwks: path }),
      /^Error: --auth-jwks: .* cannot be read as a JSON Web Key Set: ENOENT/,
    );
    writeFileSync(path, "{}");
    await assert.rejects(
      startServer(t, { authJwks: path }),
      /is no JSON Web Key Set: it has no array "keys"\./,
    );
    const { rs, es } = await keys();
    const publicKey = await exportJWK(rs.publicKey);
    const unusable = [
      [],
      [null],
      [7],
      [{}],
      [{ kty: "oct", k: "x".repeat(43) }],
      [{ kty: "RSA" }],
      [{ ...publicKey, use: "enc" }],
      [{ ...publicKey, alg: "HS256" }],
      [{ ...publicKey, key_ops: ["sign"] }],
      [{ ...publicKey, d: "private" }],
      [{ ...(await exportJWK(es.publicKey)), crv: "P-999" }],
    ];
    for (const set of unusable) {
      writeFileSync(path, JSON.stringify({ keys: set }));
      await assert.rejects(startServer(t, { authJwks: path }), /has no public key of RS256, .*ES512\.$/);
    }
    writeFileSync(path, JSON.stringify({ keys: [{ kty: "oct" }, publicKey] }));
    await startServer(t, { authJwks: path });
  });
});

test("logs neither tokens nor message texts", async (t) => {
  const { url, logs } = await startServer(t, { authSecret });
  const shown = await token();
  const ann = await connect(t, url, { auth: { token: shown, room: "lobby" } });
  await ann.ask("chat", "a very private text");
  await ann.ask("auth", await token({ sub: "eve" }));
  await turnedAway(t, url, withToken(await token({ sub: "eve" }, new Uint8Array(40))));
  ann.socket.disconnect();
  await until(() => assert.equal(logs.filter(({ msg }) => msg === "disconnected").length, 1));
  const written = JSON.stringify(logs);
  assert.ok(!written.includes(shown.slice(0, 20)) && !written.includes("private"));
});

test("the last of several tokens in flight wins, and their acks keep the order", async (t) => {
  const waiting: ((permissions: Permissions) => void)[] = [];
  const { url, app } = await startServer(t, { authSecret });
  const ann = await connect(t, url, { auth: { token: await token(), room: ["lobby", "den"] } });
  const [{ namespace }] = coreOf(app).dispatchers as [Dispatcher];
  const authenticate = () => new Promise<Permissions>((resolve) => waiting.push(resolve));
  t.mock.method(namespace.authenticator as Authenticator, "authenticate", authenticate);
  const acks: unknown[] = [];
  const answers = [1, 2, 3].map(() =>
    ann.ask("auth", "a token").then((reply) => acks.push(reply.rooms ?? reply.error.code)),
  );
  const joined = ann.ask("join", "lobby");
  for (const [n, permissions] of [
    { userId: "ann", rooms: ["lobby", "den"] },
    { userId: "bob" },
    { userId: "ann", rooms: ["den"] },
  ].entries()) {
    await until(() => assert.equal(waiting.length, n + 1));
    waiting[n]?.(permissions);
  }
  await Promise.all(answers);
  assert.deepEqual(acks, [["lobby", "den"], "forbidden", ["den"]]);
  assert.equal((await joined).error.code, "forbidden");
});
