import type { RoomSettings } from "./settings.ts";

/** Lists may be given as one string, with commas between the items. */
type GivenSettings = {
  [Name in keyof RoomSettings]: RoomSettings[Name] extends string[] ? string[] | string : RoomSettings[Name];
};

/**
 * The options of the Fastify plugin. All are optional; `configuration.md` in the documentation lists the same
 * settings as flags and variables. An option that does not exist or is out of bounds fails the registration.
 */
export interface RoomcastOptions extends Partial<GivenSettings> {
  /** Time between two heartbeats to a client, in milliseconds. @defaultValue 25000 */
  pingIntervalMs?: number;
  /** Time a client has to answer a heartbeat, in milliseconds. @defaultValue 20000 */
  pingTimeoutMs?: number;
  /**
   * Time a client has to send the head of a request and to join a namespace, in milliseconds.
   *
   * @defaultValue 20000
   */
  handshakeTimeoutMs?: number;
  /**
   * Time the server has to answer an event or a handshake, in milliseconds. Later the ack is `timeout`.
   *
   * @defaultValue 5000
   */
  handlerTimeoutMs?: number;
  /** Largest packet a client may send, in bytes; a larger one ends its connection. @defaultValue 1000000 */
  maxPayloadBytes?: number;
  /** Longest text of a message, in characters; a longer one fails with `too_large`. @defaultValue 16384 */
  maxTextChars?: number;
  /** Rooms one connection may be in, on each namespace; more fail with `too_many_rooms`. @defaultValue 200 */
  maxRooms?: number;
  /** Sustained event rate of a connection, per second; more fail with `rate_limited`. @defaultValue 100 */
  eventsPerSecond?: number;
  /** Events a connection may send at once after a silence. @defaultValue 1000 */
  eventsBurst?: number;
  /** Sustained rate of bytes read from a connection, per second; the rest is read later. @defaultValue 2000000 */
  bytesPerSecond?: number;
  /** Connections in all; further ones are refused with status 503 (`server_full`). @defaultValue 10000 */
  maxConnections?: number;
  /**
   * Connections from one IPv4 address or IPv6 network of 64 bits; further ones are refused with status 429
   * (`too_many_connections`).
   *
   * @defaultValue 1000
   */
  maxConnectionsPerAddress?: number;
  /** Bytes waiting for a client that does not read, at which it is disconnected. @defaultValue 1000000 */
  sendQueueMaxBytes?: number;
  /** Time a client may leave unread what was sent to it, in milliseconds. @defaultValue 30000 */
  sendQueueAgeMs?: number;
  /** Bytes waiting for all clients together; beyond it the worst are disconnected. @defaultValue 256000000 */
  memoryMaxBytes?: number;
  /** Bytes of half-received packets of all clients; beyond it the worst are disconnected. @defaultValue 128000000 */
  inboundMemoryMaxBytes?: number;
  /**
   * Proxies whose `X-Forwarded-For` is believed: addresses, networks, `loopback`, `linklocal` or `uniquelocal`.
   *
   * @defaultValue none
   */
  trustProxy?: string[] | string;
  /**
   * Other web origins whose pages may connect: `https://app.example.com`, `https://*.example.com`, or `*` for all.
   *
   * @defaultValue none: only pages of this server
   */
  origins?: string[] | string;
  /** Secret key of the tokens (HS256), at least 32 characters. With it, every connection must present a token. */
  authSecret?: string;
  /** Public keys of the tokens: the URL or file of a JSON Web Key Set (RFC 7517). Not together with `authSecret`. */
  authJwks?: string;
  /** The `iss` that tokens must have (RFC 7519, section 4.1.1). */
  authIssuer?: string;
  /** The `aud` that tokens must have (RFC 7519, section 4.1.3). */
  authAudience?: string;
  /** Time a connection may outlive its token, in milliseconds. @defaultValue 30000 */
  authGraceMs?: number;
  /** Time between `/readyz` turning 503 and the first connection being closed by `drain()`. @defaultValue 0 */
  drainDelayMs?: number;
  /** Time over which `drain()` spreads the closing of connections, in milliseconds. @defaultValue 500 */
  drainTimeMs?: number;
  /**
   * Namespaces of the application's own that need no token where tokens are required. Every other namespace of
   * `app.roomcast.io` does.
   *
   * @defaultValue none
   */
  publicNamespaces?: string[] | string;
}
