import type { RoomSettings } from "./settings.ts";

/** Lists may also be one string, with commas between the items. */
type GivenSettings = {
  [Name in keyof RoomSettings]: RoomSettings[Name] extends string[] ? string[] | string : RoomSettings[Name];
};

/**
 * The options of the Fastify plugin. All are optional. `configuration.md` in the documentation lists the same
 * settings as flags and variables. If an option does not exist or is out of bounds, the registration fails.
 */
export interface RoomcastOptions extends Partial<GivenSettings> {
  /** Time between two heartbeats to a client, in milliseconds. @defaultValue 25000 */
  pingIntervalMs?: number;
  /** Time a client has to answer a heartbeat, in milliseconds. @defaultValue 20000 */
  pingTimeoutMs?: number;
  /**
   * Time a client has to join a namespace, in milliseconds. It also limits the upgrade to WebSocket, which may
   * take at most 5 seconds. The app sets the time limits for request headers and TLS handshakes.
   *
   * @defaultValue 20000
   */
  handshakeTimeoutMs?: number;
  /**
   * Time the server has to answer an event or a handshake, in milliseconds. After that, the ack is `timeout`.
   *
   * @defaultValue 5000
   */
  handlerTimeoutMs?: number;
  /** Largest packet a client may send, in bytes; a larger one ends its connection. @defaultValue 1000000 */
  maxPayloadBytes?: number;
  /** Longest text of a message, in characters; a longer one fails with `too_large`. @defaultValue 16384 */
  maxTextChars?: number;
  /** Rooms per connection and namespace; joining more fails with `too_many_rooms`. @defaultValue 200 */
  maxRooms?: number;
  /**
   * Sustained event rate per connection and second; further events fail with `rate_limited`.
   *
   * @defaultValue 100
   */
  eventsPerSecond?: number;
  /** Events a connection may send at once after a pause. @defaultValue 1000 */
  eventsBurst?: number;
  /** Sustained bytes per connection and second; further bytes are read later. @defaultValue 2000000 */
  bytesPerSecond?: number;
  /** Connections in total; further ones are refused with status 503 (`server_full`). @defaultValue 10000 */
  maxConnections?: number;
  /**
   * Connections per IPv4 address or IPv6 /64 network; further ones are refused with status 429
   * (`too_many_connections`).
   *
   * @defaultValue 1000
   */
  maxConnectionsPerAddress?: number;
  /** Unread bytes at which a client that does not read is disconnected. @defaultValue 1000000 */
  sendQueueMaxBytes?: number;
  /** Time a client may leave data unread, in milliseconds. @defaultValue 30000 */
  sendQueueAgeMs?: number;
  /** Total unread bytes at which the slowest clients are disconnected. @defaultValue 256000000 */
  memoryMaxBytes?: number;
  /**
   * Total bytes of incomplete packets at which the largest senders are disconnected.
   *
   * @defaultValue 128000000
   */
  inboundMemoryMaxBytes?: number;
  /** Messages that each room keeps for clients that come back; 0 keeps none. @defaultValue 100 */
  historySize?: number;
  /** Time for which a room keeps a message, in milliseconds. @defaultValue 600000 */
  historyAgeMs?: number;
  /**
   * Total bytes of kept messages at which the least recently used rooms lose theirs. The ids of messages may take a
   * quarter of it in addition.
   *
   * @defaultValue 64000000
   */
  historyMemoryMaxBytes?: number;
  /**
   * Time for which the `id` that a client gave a message is remembered, in milliseconds. Within it, a repeated
   * request is not sent again.
   *
   * @defaultValue 300000
   */
  dedupTimeMs?: number;
  /** Time for which a user whose connection was lost counts as present, in milliseconds. @defaultValue 5000 */
  presenceGraceMs?: number;
  /**
   * URL of the Redis server (6.2 or later) through which several nodes share their rooms: `redis://` or `rediss://`, with
   * user and password if it asks for them. Nodes on different databases (`redis://host/1`) share nothing.
   *
   * @defaultValue none: the rooms live in this process
   */
  redis?: string;
  /** Start of the names of all keys and channels in Redis. @defaultValue "roomcast" */
  redisPrefix?: string;
  /**
   * Time without a sign of life after which the other nodes remove the members of this node, in milliseconds.
   *
   * @defaultValue 10000
   */
  nodeTimeoutMs?: number;
  /**
   * Proxies whose `X-Forwarded-For` header is trusted: addresses, networks, `loopback`, `linklocal` or
   * `uniquelocal`.
   *
   * @defaultValue none
   */
  trustProxy?: string[] | string;
  /**
   * Other web origins whose pages may connect: `https://app.example.com`, `https://*.example.com`, or `*` for
   * all.
   *
   * @defaultValue none: only pages of this server
   */
  origins?: string[] | string;
  /**
   * Secret that verifies tokens (HS256), at least 32 characters. If set, every connection must present a
   * token.
   */
  authSecret?: string;
  /**
   * Public keys that verify tokens: the URL or file of a JSON Web Key Set (RFC 7517). Excludes `authSecret`.
   */
  authJwks?: string;
  /** The `iss` claim that tokens must have (RFC 7519, section 4.1.1). */
  authIssuer?: string;
  /** The `aud` claim that tokens must have (RFC 7519, section 4.1.3). */
  authAudience?: string;
  /** Time a connection may continue after its token has expired, in milliseconds. @defaultValue 30000 */
  authGraceMs?: number;
  /** Time for which `drain()` only reports the shutdown in `health`, in milliseconds. @defaultValue 0 */
  drainDelayMs?: number;
  /** Time over which `drain()` spreads the disconnects, in milliseconds. @defaultValue 500 */
  drainTimeMs?: number;
  /**
   * The application's own namespaces that need no token even if tokens are required. All other namespaces of
   * `app.roomcast.io` need one.
   *
   * @defaultValue none
   */
  publicNamespaces?: string[] | string;
}
