import Type, { type Static, type TSchema } from "typebox";
import { longestTimerMs } from "../limits/numbers.ts";

/*
 * Every setting with its meaning, default and bounds. The `title` says what a value looks like where the bounds
 * do not; one without a default may be left out. A flag is the name in kebab case without the unit
 * (`--ping-interval`), a variable the flag in capitals (`PING_INTERVAL`).
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

/** The settings of the rooms and of Socket.IO, which the Fastify plugin takes as its options. */
const roomSettings = {
  pingIntervalMs: milliseconds("Time between two heartbeats to a client", 25_000),
  pingTimeoutMs: milliseconds("Time a client has to answer a heartbeat", 20_000),
  handshakeTimeoutMs: milliseconds("Time a client has to send a request's head, and to connect", 20_000),
  handlerTimeoutMs: milliseconds("Time the server has to answer an event or a handshake", 5_000),
  maxPayloadBytes: Type.Integer({
    description: "Largest packet a client may send; a larger one ends its connection",
    default: 1_000_000,
    minimum: 1_024,
    maximum: 1_073_741_824,
  }),
  maxTextChars: Type.Integer({
    description: "Longest text of a message; below a third of --max-payload",
    default: 16_384,
    minimum: 1,
    maximum: 100_000_000,
  }),
  maxRooms: count("Rooms one connection may be in, on each namespace", 200),
  eventsPerSecond: count("Events a connection may send for long; more are refused", 100),
  eventsBurst: count("Events a connection that was silent may send at once", 1_000),
  bytesPerSecond: Type.Integer({
    description: "Bytes a connection may send for long; more are read later",
    default: 2_000_000,
    minimum: 1_024,
    maximum: 2 ** 40,
  }),
  maxConnections: count("Connections in all; further ones are refused", 10_000),
  maxConnectionsPerAddress: count("Connections from one address, or one IPv6 network of 64 bits", 1_000),
  outboxMaxBytes: bytes("Backlog at which a client that does not read is disconnected", 1_000_000),
  outboxAgeMs: milliseconds("Time a client may leave unread what it was sent", 30_000),
  memoryMaxBytes: bytes("Backlog of all clients at which the worst is disconnected", 256_000_000),
  inboundMemoryMaxBytes: bytes(
    "Half-received packets of all clients at which the worst is disconnected",
    128_000_000,
  ),
  trustProxy: list(
    "addresses, networks, loopback, linklocal or uniquelocal, with commas between",
    "Proxies whose X-Forwarded-For is believed",
    Type.String({ format: "proxy" }),
  ),
  origins: list(
    "origins like https://app.example.com or https://*.example.com, with commas between; or *",
    "Other web origins whose pages may connect",
    Type.String({ pattern: "^(\\*|null|[a-z][a-z0-9+.-]*://(\\*\\.)?[^\\s/*,@?#]+)$" }),
  ),
  authSecret: text(
    "at least 32 characters",
    "Key of the tokens (HS256) a client must show; safer as a variable",
    32,
  ),
  authJwks: Type.Optional(
    Type.String({
      title: "an http or https URL without a password, or the path of a file",
      description: "Public keys of the tokens (RS256, ES256, …) a client must show",
      format: "key-source",
    }),
  ),
  authIssuer: text(
    "as tokens have it in iss",
    "Whose tokens alone are good, where they may be of several issuers",
  ),
  authAudience: text(
    "as tokens have it in aud",
    "For whom tokens must be made, where their keys sign for others too",
  ),
  authGraceMs: milliseconds("Time a connection may go on after its token has expired", 30_000, 0),
  drainDelayMs: milliseconds("Time between /readyz turning 503 and the first goodbye", 0, 0),
  drainTimeMs: milliseconds("Time over which the goodbyes are spread as the server stops", 500, 0),
};

export const RoomSettings = Type.Object(roomSettings, { additionalProperties: false });
export type RoomSettings = Static<typeof RoomSettings>;

/** Every setting of the command. */
export const Settings = Type.Object({
  port: Type.Integer({
    description: "Port to listen on; 0 takes any that is free",
    default: 8_000,
    ...port,
  }),
  host: Type.String({
    title: "a host name or address",
    description: "Address to listen on; 0.0.0.0 for every network",
    default: "127.0.0.1",
    minLength: 1,
  }),
  operationsPort: Type.Optional(
    Type.Integer({
      description: "Port of their own for /metrics, /livez, /readyz",
      ...port,
    }),
  ),
  tlsCert: text("the path of a PEM file", "Certificate chain to serve HTTPS with; SIGHUP reads it again"),
  tlsKey: text("the path of a PEM file", "Private key of that certificate"),
  logLevel: Type.Enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
    description: "Least severe log lines to write",
    default: "info",
  }),
  ...roomSettings,
});
export type Settings = Static<typeof Settings>;
