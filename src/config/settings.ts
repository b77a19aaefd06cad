import Type, { type Static, type TSchema } from "typebox";
import { longestTimerMs } from "../limits/timer.ts";

/*
 * Every setting with its meaning, default and bounds. The `title` describes the valid values if the bounds do
 * not. A setting without a default may be left out. The flag is the name in kebab case without the unit
 * (`--ping-interval`), and the variable is the flag in capitals (`PING_INTERVAL`).
 */

const milliseconds = (description: string, defaultMs: number, minimum = 1) =>
  Type.Integer({ description, default: defaultMs, minimum, maximum: longestTimerMs });

const bytes = (description: string, defaultBytes: number, minimum = 1_024) =>
  Type.Integer({ description, default: defaultBytes, minimum, maximum: 2 ** 40 });

const count = (description: string, defaultCount: number) =>
  Type.Integer({ description, default: defaultCount, minimum: 1, maximum: 1_000_000 });

const text = (title: string, description: string, minLength = 1) =>
  Type.Optional(Type.String({ title, description, minLength }));

const list = (title: string, description: string, item: TSchema) =>
  Type.Array(item as ReturnType<typeof Type.String>, { title, description, default: [] });

const port = { minimum: 0, maximum: 65_535 };

/** The schemas of the settings that the command and the Fastify plugin have in common. */
const roomSettings = {
  pingIntervalMs: milliseconds("Time between heartbeats", 25_000),
  pingTimeoutMs: milliseconds("Time a client has to answer a heartbeat", 20_000),
  handshakeTimeoutMs: milliseconds(
    "Time to send headers, finish a TLS handshake and join a namespace",
    20_000,
  ),
  handlerTimeoutMs: milliseconds("Time the server has to answer an event or a handshake", 5_000),
  maxPayloadBytes: Type.Integer({
    description: "Largest packet a client may send; a larger one ends its connection",
    default: 1_000_000,
    minimum: 1_024,
    maximum: 1_073_741_824,
  }),
  maxTextChars: Type.Integer({
    description: "Longest message text; must be less than a third of --max-payload",
    default: 16_384,
    minimum: 1,
    maximum: 100_000_000,
  }),
  maxRooms: count("Rooms per connection and namespace", 200),
  eventsPerSecond: count("Sustained event rate per connection; further events are refused", 100),
  eventsBurst: count("Events a connection may send at once after a pause", 1_000),
  bytesPerSecond: Type.Integer({
    description: "Sustained byte rate per connection; further bytes are read later",
    default: 2_000_000,
    minimum: 1_024,
    maximum: 2 ** 40,
  }),
  maxConnections: count("Connections in total; further ones are refused", 10_000),
  maxConnectionsPerAddress: count("Connections per IPv4 address or IPv6 /64 network", 1_000),
  sendQueueMaxBytes: bytes("Unread data at which a client that does not read is disconnected", 1_000_000),
  sendQueueAgeMs: milliseconds(
    "Time after which a client that ignores its unread data is disconnected",
    30_000,
  ),
  memoryMaxBytes: bytes("Unread data of all clients at which the slowest are disconnected", 256_000_000),
  inboundMemoryMaxBytes: bytes(
    "Memory of incomplete packets at which the largest senders are disconnected",
    128_000_000,
  ),
  historySize: Type.Integer({
    description: "Messages that each room keeps; 0 keeps none",
    default: 100,
    minimum: 0,
    maximum: 100_000,
  }),
  historyAgeMs: milliseconds("Time for which a room keeps a message", 600_000),
  historyMemoryMaxBytes: bytes(
    "Memory of kept messages at which the least recently used rooms lose theirs",
    64_000_000,
    1_000_000,
  ),
  dedupTimeMs: milliseconds(
    "Time for which the id of a message is remembered, to recognize a repeat",
    300_000,
  ),
  presenceGraceMs: milliseconds(
    "Time for which a user whose connection was lost counts as present",
    5_000,
    0,
  ),
  redis: Type.Optional(
    Type.String({
      title: "a redis:// or rediss:// URL",
      description: "Redis that several nodes share; set REDIS instead of the flag",
      format: "redis-url",
    }),
  ),
  redisPrefix: Type.String({
    title: "1 to 64 letters, digits, _, - or .",
    description: "Start of the names of all keys and channels in Redis",
    default: "roomcast",
    pattern: "^[\\w.-]{1,64}$",
  }),
  nodeTimeoutMs: milliseconds(
    "Time without a sign of life after which a node's members are removed",
    10_000,
    500,
  ),
  trustProxy: list(
    "addresses, networks, loopback, linklocal or uniquelocal",
    "Proxies whose X-Forwarded-For header is trusted",
    Type.String({ format: "proxy" }),
  ),
  origins: list(
    "origins such as https://app.example.com or https://*.example.com; or *",
    "Other web origins whose pages may connect",
    Type.String({ pattern: "^(\\*|null|[a-z][a-z0-9+.-]*://(\\*\\.)?[^\\s/*,@?#]+)$" }),
  ),
  authSecret: text(
    "at least 32 characters",
    "Secret that verifies tokens (HS256); set AUTH_SECRET instead of the flag",
    32,
  ),
  authJwks: Type.Optional(
    Type.String({
      title: "an http or https URL without a password, or the path of a file",
      description: "Public keys that verify tokens (RS256, ES256, …)",
      format: "key-source",
    }),
  ),
  authIssuer: text("the iss claim of the tokens", "Issuer that tokens must have"),
  authAudience: text("the aud claim of the tokens", "Audience that tokens must have"),
  authGraceMs: milliseconds("Time a connection may continue after its token has expired", 30_000, 0),
  drainDelayMs: milliseconds("Time between /readyz turning 503 and the first disconnect", 0, 0),
  drainTimeMs: milliseconds("Time over which disconnects are spread at shutdown", 500, 0),
};

/** The settings of the Fastify plugin: the common ones, and one for the application's own namespaces. */
export const RoomSettings = Type.Object(
  {
    ...roomSettings,
    publicNamespaces: list(
      "namespaces such as /status",
      "Namespaces of the application that need no token even if tokens are required",
      Type.String({ pattern: "^/[^,\\s]+$" }),
    ),
  },
  { additionalProperties: false },
);
/** The validated settings of the rooms. */
export type RoomSettings = Static<typeof RoomSettings>;
/** The settings that the command and the Fastify plugin have in common. */
export type CommonSettings = Omit<RoomSettings, "publicNamespaces">;

/** The settings of the command. */
export const Settings = Type.Object({
  port: Type.Integer({
    description: "Port to listen on; 0 picks a free port",
    default: 8_000,
    ...port,
  }),
  host: Type.String({
    title: "a host name or address",
    description: "Address to listen on; 0.0.0.0 for all IPv4 interfaces",
    default: "127.0.0.1",
    minLength: 1,
  }),
  operationsPort: Type.Optional(
    Type.Integer({
      description: "Separate port for /metrics, /livez and /readyz",
      ...port,
    }),
  ),
  tlsCert: text("the path of a PEM file", "Certificate chain for HTTPS; SIGHUP reads it again"),
  tlsKey: text("the path of a PEM file", "Private key of the certificate"),
  logLevel: Type.Enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
    description: "Least severe level to log",
    default: "info",
  }),
  ...roomSettings,
});
/** The validated settings of the command. */
export type Settings = Static<typeof Settings>;
