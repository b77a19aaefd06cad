import { enginePath, httpRequest as request, upgradeRequest as upgrade } from "../support/http.ts";
import type { Random } from "../support/random.ts";
import { flipped } from "./mutations.ts";

/**
 * Stands for the session's own id, which is known only once the server has sent it; has the length of an id.
 */
export const ownSid = "<the-session-s-id-->";
/** Stands for the id of another session, open or closed. */
export const foreignSid = "<another-session-id>";

/** A malformed request to a session that may exist. */
export function malformedRequest(random: Random): Buffer {
  const sid = random.pick([ownSid, ownSid, foreignSid, "x", "__proto__"]);
  const version = random.pick([3, 4] as const);
  const poll = enginePath(version, "polling", `sid=${sid}`);
  const bytes = random.pick(malformations)(random, poll);
  return random.chance(0.1) ? flipped(random, bytes) : bytes;
}

type Malformation = (random: Random, poll: string) => Buffer;
const methods = ["OPTIONS", "PUT", "DELETE", "HEAD", "TRACE", "PATCH", "CONNECT", "BREW", "get"];
const some = Buffer.from('42["join","lobby"]');

const queries = [
  ...[
    "",
    "EIO=4",
    "transport=polling",
    "EIO=5&transport=polling",
    "EIO=4&transport=__proto__",
    "EIO&transport",
  ],
  ...[
    "EIO=4&EIO=3&transport=polling",
    "EIO=4&transport=polling&transport=websocket",
    "EIO[]=4&transport[]=polling",
  ],
  ...["EIO=4&transport=polling&userId=a&userId=b", "EIO=4&transport=polling&room=a&room=b&room=a", "j=0&j=1"],
  ...[
    "EIO=4&transport=polling&userId=%00",
    "EIO=4&transport=%ff%fe",
    "EIO=4&transport=polling&room=%ed%a0%80",
  ],
  ...[
    "EIO=4&transport=webtransport",
    "EIO=4&transport=websocket",
    "EIO=4&transport=polling&sid=a&sid=b",
    "%&%&=",
  ],
  ...[`EIO=4&transport=polling&${"room=x&".repeat(700)}`, `EIO=4&transport=polling&b64=${"1".repeat(9_000)}`],
  ...[`EIO=3&transport=polling&j=${"9".repeat(400)}`, "EIO=3&transport=polling&j=alert(1)&b64=1"],
];

/** Paths of files and pages that exist. */
export const files = ["/", "/socket.io/socket.io.js", "/vendor/lit-html/lit-html.js", "/healthz"];

const paths = [
  ...[
    "/",
    "/healthz",
    "/socket.io",
    "/socket.io/socket.io.js",
    "/socket.io/../main.ts",
    "//socket.io/?EIO=4",
    "/%00",
  ],
  ...[
    "/%ff",
    "/%",
    "/..%2f..%2fpackage.json",
    "/vendor/lit-html/../../package.json",
    "*",
    "http://[::1]:99999/",
    "?",
  ],
  ...[
    "http://elsewhere/socket.io/?EIO=4&transport=polling",
    `/${"x".repeat(9_000)}`,
    "/vendor/lit-html/lit-html.js",
  ],
];

const oddHeaders: readonly Record<string, string>[] = [
  { "x-long": "x".repeat(20_000) },
  Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`x-${n}`, "1"])),
  { expect: "100-continue" },
  { expect: "the worst" },
  { range: "bytes=5-2" },
  { range: "bytes=0-0,-1" },
  { "if-none-match": "*", "accept-encoding": "gzip, deflate, br" },
  { origin: "null", cookie: "io=\u00ff; =;;" },
  { "content-type": "application/octet-stream" },
  { "content-type": "\u00ff" },
  { connection: "close, upgrade", upgrade: "h2c" },
  { host: "" },
  { "transfer-encoding": "gzip" },
];

const oddUpgrades: readonly Record<string, string>[] = [
  { "sec-websocket-key": "x" },
  { "sec-websocket-version": "7" },
  { upgrade: "h2c" },
  { upgrade: "websocket, h2c" },
  { upgrade: "WebSocket", origin: "http://elsewhere" },
  { "sec-websocket-extensions": "permessage-deflate; client_max_window_bits=99" },
  { "sec-websocket-extensions": ";;" },
  { "sec-websocket-protocol": "," },
  { "content-length": "18" },
];

const malformations: readonly Malformation[] = [
  (random, poll) => request(poll, { method: random.pick(methods), body: some }),
  (random, poll) => request(poll, { headers: random.pick(oddHeaders) }),
  (random, poll) => request(poll, { method: "POST", headers: random.pick(oddHeaders), body: some }),
  (random) => request(`/socket.io/?${random.pick(queries)}`),
  (random) => upgrade(`/socket.io/?${random.pick(queries)}`),
  (random) => request(`/socket.io/?${random.pick(queries)}`, { method: "OPTIONS" }),
  (random) => request(random.pick(paths), { headers: random.pick(oddHeaders) }),
  (random) => upgrade(random.pick(paths)),
  (random) => upgrade(enginePath(4, "websocket"), random.pick(oddUpgrades)),
  (_random, poll) => upgrade(poll),
  (random, poll) =>
    request(poll, { method: "POST", headers: { "content-length": random.pick(lengths) }, body: some }),
  (random, poll) => chunked(poll, random.pick(chunks)),
  (_random, poll) =>
    Buffer.concat([request(poll), request(poll), request(poll, { method: "POST", body: some })]),
  (random, poll) => request(poll, { method: "POST", body: some }).subarray(0, random.between(1, 160)),
  (random) => random.bytes(random.between(1, 200)),
  (_random, poll) => Buffer.from(`GET ${poll} HTTP/1.0\r\n\r\n`),
  (_random, poll) => Buffer.from(`GET ${poll} HTTP/1.1\r\n\r\n`),
  (_random, poll) => Buffer.from(`GET ${poll} HTTP/9.9\nhost: x\n folded: y\r\n\r\n`),
];

const lengths = ["0", "1", "17", "19", "400", "60000", "-1", "1e3", "99999999999999999999", "18, 18", ""];

const chunks = [
  '5\r\n42["j\r\n', // cut short
  "5\r\nx\r\n0\r\n\r\n",
  "zz\r\n42\r\n0\r\n\r\n",
  "ffffffffffffffff\r\n4",
  "-1\r\n4\r\n",
  `2;${"x".repeat(300)}\r\n40\r\n0\r\n\r\n`,
  "2\r\n40\r\n0\r\nx-trailer: 1\r\n\r\n",
];

function chunked(target: string, body: string): Buffer {
  const head = request(target, { method: "POST", headers: { "transfer-encoding": "chunked" } });
  return Buffer.concat([head, Buffer.from(body)]);
}
