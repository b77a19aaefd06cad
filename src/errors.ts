/** Why a request is refused: every code that a client may be told, with its sentence. The connection lives on. */
export const errors = {
  bad_payload: "The event's arguments are not what it expects.",
  too_large: "The text is longer than a message may be.",
  not_in_room: "This connection is not in that room.",
  too_many_rooms: "This connection is in as many rooms as it may be.",
  forbidden: "The token does not allow that room.",
  unauthorized: "This server asks for a valid token.",
  token_expired: "The token has expired.",
  rate_limited: "This connection sends more events than it may.",
  unknown_event: "This namespace has no such event.",
  closing: "This connection has said bye and is being closed.",
  timeout: "The server took too long; the request may or may not have been carried out.",
  internal: "Something went wrong on the server; the request may or may not have been carried out.",
} as const;

export type ErrorCode = keyof typeof errors;

/** Why a new connection is turned away at the door: every code, with the status of HTTP. */
export const refusals = {
  handshake_timeout: 408,
  origin_not_allowed: 403,
  foreign_session: 400,
  too_many_connections: 429,
  server_full: 503,
  draining: 503,
} as const;

export type RefusalCode = keyof typeof refusals;

/** What a WebSocket is said to be closed with that was cut off without a word (RFC 6455, 7.4.1). */
export const cutOff = 1006;

/**
 * Why the server ends a connection: every reason, with the code that a WebSocket is closed with (RFC 6455, 7.4).
 * Clients come back by themselves from each.
 */
export const endings = {
  "slow consumer": cutOff,
  "rate limited": 1008,
  "unfinished packet": cutOff,
  "no namespace": 1000,
  "server shutting down": 1001,
} as const;

export type Ending = keyof typeof endings;

/** What a client is told of a refusal. */
export interface Refused {
  code: ErrorCode;
  message: string;
  /** When to try again, where that is known. */
  retryAfterMs?: number;
}

/** A refusal that the client is told in words. Whatever else is thrown, it is told only as `internal`. */
export class ClientError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string = errors[code], retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** What the client may know of anything that was thrown. */
export function told(thrown: unknown): Refused {
  const { code, message, retryAfterMs } =
    thrown instanceof ClientError ? thrown : new ClientError("internal");
  return retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs };
}

/** A setting that cannot be used. The message is one sentence for whoever gave it. */
export class SettingError extends Error {}
