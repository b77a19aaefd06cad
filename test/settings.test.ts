import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { help } from "../src/config/help.ts";
import { readOptions, readSettings, settingRows } from "../src/config/read.ts";
import { SettingError } from "../src/errors.ts";
import { runCommand } from "./support/command.ts";
import { startServer } from "./support/server.ts";

test("every setting has its documented default", () => {
  assert.deepEqual(readSettings([], {}), {
    port: 8000,
    host: "127.0.0.1",
    logLevel: "info",
    pingIntervalMs: 25_000,
    pingTimeoutMs: 20_000,
    handshakeTimeoutMs: 20_000,
    handlerTimeoutMs: 5_000,
    maxPayloadBytes: 1_000_000,
    maxTextChars: 16_384,
    maxRooms: 200,
    eventsPerSecond: 100,
    eventsBurst: 1_000,
    bytesPerSecond: 2_000_000,
    maxConnections: 10_000,
    maxConnectionsPerAddress: 1_000,
    sendQueueMaxBytes: 1_000_000,
    sendQueueAgeMs: 30_000,
    memoryMaxBytes: 256_000_000,
    inboundMemoryMaxBytes: 128_000_000,
    historySize: 100,
    historyAgeMs: 600_000,
    historyMemoryMaxBytes: 64_000_000,
    dedupTimeMs: 300_000,
    presenceGraceMs: 5_000,
    redisPrefix: "roomcast",
    nodeTimeoutMs: 10_000,
    trustProxy: [],
    origins: [],
    authGraceMs: 30_000,
    drainDelayMs: 0,
    drainTimeMs: 500,
  });
});

test("a flag overrides a variable, and an empty variable counts as unset", () => {
  const settings = readSettings(["--port", "1", "--host=::1"], {
    PORT: "2",
    PING_INTERVAL: "300",
    LOG_LEVEL: "",
  });
  assert.deepEqual(
    [settings.port, settings.host, settings.pingIntervalMs, settings.logLevel],
    [1, "::1", 300, "info"],
  );
});

describe("one sentence explains an invalid setting:", () => {
  type Case = [args: string[], env: Record<string, string>, sentence: RegExp];
  const cases: Case[] = [
    [["--port", "abc"], {}, /^--port must be a whole number from 0 to 65535, not "abc"\.$/],
    [["--port=-1"], {}, /^--port must be .*, not "-1"\.$/],
    [["--port", "80.5"], {}, /^--port must be a whole number/],
    [[], { PORT: "65536" }, /^PORT must be a whole number from 0 to 65535, not 65536\.$/],
    [[], { PORT: " " }, /^PORT must be a whole number from 0 to 65535, not " "\.$/],
    [["--port", "1e4"], {}, /^--port must be .*, not "1e4"\.$/],
    [["--port", "0x10"], {}, /^--port must be /],
    [["--host", "--port", "80"], {}, /^--host needs a value; see --help\.$/],
    [[], { LOG_LEVEL: "loud" }, /^LOG_LEVEL must be one of fatal, .*silent, not "loud"\.$/],
    [["--port", "+80"], {}, /^--port must be /],
    [["--ping-interval", "0"], {}, /^--ping-interval must be a whole number of milliseconds from 1 /],
    [["--max-payload", "10"], {}, /^--max-payload must be a whole number of bytes from 1024 /],
    [["--max-text", "0"], {}, /^--max-text must be a whole number of characters from 1 /],
    [
      ["--max-text", "5000"],
      { MAX_PAYLOAD: "15000" },
      /^--max-text must be less than a third of MAX_PAYLOAD: /,
    ],
    [
      ["--max-text", "5000", "--send-queue-max", "9000"],
      {},
      /^--max-text must be less than a third of --send-queue-max: /,
    ],
    [["--max-text", "5000"], { MAX_PAYLOAD: "5000" }, /^--max-text must be less than MAX_PAYLOAD\.$/],
    [
      ["--trust-proxy", "loopback, 10.0.0.300"],
      {},
      /^--trust-proxy must be comma-separated addresses, .*, not "10.0.0.300"\.$/,
    ],
    [
      ["--origins", "example.com"],
      {},
      /^--origins must be comma-separated origins such as .*, not "example.com"\.$/,
    ],
    [["--origins", "https://example.com/"], {}, /^--origins must be .*, not "https:\/\/example.com\/"\.$/],
    [["--origins", "https://a.example,"], {}, /^--origins must be .*, not ""\.$/],
    ...[
      "1",
      "10.1",
      "10.0.0.0/0",
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/",
      "10.0.0.0/255.0.255.0",
      "fe80::1%/64/1",
    ].map(
      (proxy): Case => [
        ["--trust-proxy", proxy],
        {},
        /^--trust-proxy must be comma-separated addresses, [^\n]*, not "[^\n]*"\.$/,
      ],
    ),
    ...[
      "https://",
      "http://",
      "HTTPS://",
      "https://h:99999/",
      "file:///keys",
      "ftp://h/",
      "https://u:secret@h/",
    ].map(
      (source): Case => [
        ["--auth-jwks", source],
        {},
        /^--auth-jwks must be an http or https URL ((?!secret).)*\.$/,
      ],
    ),
    ...[
      "http://:secret@h",
      "h:6379",
      "redis://",
      "redis://:secret@",
      "redis://:secret@h/room",
      "redis://ann:secret/@h",
      // The rest of a password in which ? or # is not escaped is no part of the host and port, which are logged.
      "redis://ann:1?secret@h",
      "redis://ann:1#secret@h",
      "redis://:secret%zz@h",
    ].map((url): Case => [[], { REDIS: url }, /^REDIS must be a redis:\/\/ or rediss:\/\/ URL\.$/]),
    [
      ["--redis-prefix", "a:b"],
      {},
      /^--redis-prefix must be 1 to 64 letters, digits, _, - or \., not "a:b"\.$/,
    ],
    [["--node-timeout", "100"], {}, /^--node-timeout must be a whole number of milliseconds from 500 /],
    [["--origins", "https://"], {}, /^--origins must be .*, not "https:\/\/"\.$/],
    [["--port", "80000"], {}, /^--port must be .*, not 80000\.$/],
    [["--port", "-1"], {}, /^--port must be .*, not "-1"\.$/],
    [["--host", ""], {}, /^--host needs a value; see --help\.$/],
    [["--auth-secret", ""], {}, /^--auth-secret needs a value; see --help\.$/],
    [["--auth-secret", " ".repeat(40)], {}, /^--auth-secret is empty: /],
    ...["AUTH_SECRET", "AUTH_JWKS", "AUTH_ISSUER", "AUTH_AUDIENCE"].flatMap((variable) =>
      ["", " ", "\n"].map(
        (value): Case => [[], { [variable]: value }, new RegExp(`^${variable} is empty: `)],
      ),
    ),
    [["--auth-issuer", "x"], {}, /^--auth-issuer asks for tokens: give --auth-secret or --auth-jwks, too\.$/],
    [[], { AUTH_AUDIENCE: "x" }, /^AUTH_AUDIENCE asks for tokens: /],
    [["--auth-jwks", "keys.json"], { AUTH_AUDIENCE: "" }, /^AUTH_AUDIENCE is empty: /],
    [[], { AUTH_SECRET: "too short" }, /^AUTH_SECRET must be at least 32 characters\.$/],
    [["--auth-jwks", "x"], { AUTH_SECRET: "x".repeat(32) }, /^Give AUTH_SECRET or --auth-jwks, not both\.$/],
    [["--tls-cert", "x.pem"], {}, /^--tls-cert and --tls-key go together: give both, or neither\.$/],
    [["--port"], {}, /^--port needs a value; see --help\.$/],
    [["--host="], {}, /^--host needs a value; see --help\.$/],
    [["--prot", "80"], {}, /^Unknown setting --prot; did you mean --port\? See --help\.$/],
    [["--prot=80"], {}, /^Unknown setting --prot; did you mean --port\?/],
    [["-port", "80"], {}, /^Unknown setting -p; did you mean --port\?/],
    [["--maxRooms", "8"], {}, /^Unknown setting --maxRooms; did you mean --max-rooms\?/],
    [["--MAX_PAYLOAD", "8"], {}, /did you mean --max-payload\?/],
    [["--max-conections", "8"], {}, /did you mean --max-connections\?/],
    [["--max-payload-bytes", "8"], {}, /did you mean --max-payload\?/],
    [["--orgin", "*"], {}, /did you mean --origins\?/],
    [["--hepl"], {}, /did you mean --help\? See --help\.$/],
    [["--verbose"], {}, /^Unknown setting --verbose; see --help\.$/],
    [["--__proto__", "80"], {}, /^Unknown setting --__proto__; see --help\.$/],
    [["-p", "80"], {}, /^Unknown setting -p; see --help\.$/],
    [["8080"], {}, /^Unexpected argument 8080; see --help\.$/],
  ];
  for (const [args, env, sentence] of cases) {
    test([...args, ...Object.entries(env).flat()].join(" "), () => {
      assert.throws(
        () => readSettings(args, env),
        (error) => error instanceof SettingError && sentence.test(error.message),
      );
    });
  }
});

test("the plugin's options are validated like the command's settings", () => {
  assert.throws(() => readOptions({ pingIntervalMs: "10" }), /option pingIntervalMs must be .*, not "10"/);
  assert.throws(() => readOptions({ prefix: "/chat" }), /option prefix does not exist/);
  for (const name of ["authSecret", "authJwks", "authIssuer", "authAudience"]) {
    for (const value of [undefined, "", " "]) {
      assert.throws(() => readOptions({ [name]: value }), new RegExp(`option ${name} is empty: `));
    }
  }
  assert.throws(() => readOptions({ authIssuer: "x" }), /option authIssuer asks for tokens/);
  assert.throws(() => readOptions({ trustProxy: ["1"] }), /option trustProxy must be .*, not "1"/);
  assert.throws(() => readOptions({ port: 80 }), /option port does not exist/);
  assert.throws(() => readOptions({ maxRoom: 3 }), /option maxRoom does not exist; did you mean maxRooms\?$/);
  assert.throws(() => readOptions({ "ping-interval": 3 }), /did you mean pingIntervalMs\?/);
  assert.equal(readOptions({ maxRooms: 3 }).maxRooms, 3);
  const origins = ["https://a.example", "https://b.example"];
  assert.deepEqual(readOptions({ origins }).origins, origins);
  assert.deepEqual(readOptions({ origins: origins.join(", ") }).origins, origins);
  assert.throws(
    () => readOptions({ origins: 7 }),
    /option origins must be an array of origins such as .*, not 7/,
  );
  assert.throws(
    () => readOptions({ publicNamespaces: ["game"] }),
    /must be an array of namespaces .*, not "game"/,
  );
});

test("--help lists every setting with its description and its default", async (t) => {
  const command = runCommand(t, ["--port", "nonsense", "--help"]);
  assert.equal(await command.exit(), 0);
  assert.equal(command.stdout.trimEnd(), help());
  for (const { flag, variable, description, default: value } of settingRows) {
    assert.equal(variable, flag.toUpperCase().replaceAll("-", "_"));
    const [, rest = ""] = help().split(`\n  --${flag} `);
    const [entry = ""] = rest.split("\n  --");
    assert.ok(entry.trimStart().startsWith(`${description}:`));
    assert.equal(entry.includes(`(default ${value})`), value !== "none", flag);
  }
  assert.ok(
    help()
      .split("\n")
      .every((line) => line.length <= 110),
  );
});

test("--version prints the package's version", async (t) => {
  const command = runCommand(t, ["--version"]);
  assert.equal(await command.exit(), 0);
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.equal(command.stdout, `${version}\n`);
});

describe("a start that fails prints one sentence and exits with code 1:", () => {
  const fails = (title: string, args: string[], sentence: RegExp) =>
    test(title, async (t) => {
      const command = runCommand(t, args);
      assert.equal(await command.exit(), 1);
      assert.match(command.stderr, sentence);
      assert.equal(command.stderr.trimEnd().split("\n").length, 1);
      assert.equal(command.stdout, "");
    });

  fails("an invalid setting", ["--port", "http"], /^--port must be a whole number/);
  fails("an unknown setting", ["--verbose"], /^Unknown setting --verbose; see --help/);
  fails("a proxy that is not an address", ["--trust-proxy", "1"], /^--trust-proxy must be /);
  fails("a link-local address without its zone", ["--host", "fe80::1"], /^--host must be an address of this/);
  fails(
    "an address that is not this machine's",
    ["--host", "192.0.2.1"],
    /^--host must be an address of this machine/,
  );

  test("a port in use", async (t) => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    t.after(() => other.close());
    const { port } = other.address() as { port: number };
    const command = runCommand(t, ["--port", String(port)]);
    assert.equal(await command.exit(), 1);
    assert.match(command.stderr, new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is in use`));
    assert.equal(command.stderr.trimEnd().split("\n").length, 1);
  });
});

test("a start logs the address to open as JSON, and that address responds", async (t) => {
  const command = runCommand(t, ["--port", "0"]);
  const url = await command.ready();
  const [line] = command.stdout.split("\n");
  assert.equal(JSON.parse(line ?? "").msg, `roomcast is ready: open ${url}`);
  const health = await fetch(`${url}/healthz`);
  assert.deepEqual([health.status, await health.json()], [200, { status: "ok" }]);
  const page = await fetch(url);
  assert.match(String(page.headers.get("content-type")), /text\/html/);
  const client = await fetch(`${url}/socket.io/socket.io.min.js`);
  assert.match(String(client.headers.get("content-type")), /javascript/);
});

test("--trust-proxy accepts addresses, networks and names", () => {
  const proxies = [
    "loopback",
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.0/255.0.0.0",
    "::1",
    "fe80::1%eth0",
    "2001:db8::/32",
  ];
  assert.deepEqual(readSettings(["--trust-proxy", proxies.join()], {}).trustProxy, proxies);
});

for (const [what, options, line] of [
  ["an open server", {}, /^no tokens are required: /],
  [
    "a server with a secret",
    { authSecret: "x".repeat(32) },
    /^tokens are required: signed with --auth-secret$/,
  ],
  [
    "a server with keys",
    { authJwks: "http://127.0.0.1:9/?key=xxx" },
    /^tokens are required: signed with the keys of http:/,
  ],
] as const) {
  test(`${what} logs once whether tokens are required, and never a secret`, async (t) => {
    const { logs } = await startServer(t, options);
    assert.equal(logs.filter(({ msg }) => line.test(String(msg))).length, 1);
    assert.equal(JSON.stringify(logs).includes("xxx"), false);
  });
}
