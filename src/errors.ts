/** Every code with which a request can fail, with its default message. The connection stays open. */
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
  unavailable: "The server cannot reach its store; try again.",
  closing: "This connection has said bye and is being closed.",
  timeout: "The server took too long; the request may or may not have been carried out.",
  internal: "Something went wrong on the server; the request may or may not have been carried out.",
} as const;

export type ErrorCode = keyof typeof errors;

/** Every code with which a request for a connection can be refused, with its HTTP status. */
export const refusals = {
  handshake_timeout: 408,
  origin_not_allowed: 403,
  foreign_session: 400,
  too_many_connections: 429,
  server_full: 503,
  draining: 503,
  unavailable: 503,
} as const;

export type RefusalCode = keyof typeof refusals;

/** The close code of a connection that ends without a close frame (RFC 6455, section 7.4.1). */
export const cutOff = 1006;

interface Disconnect {
  /**
   * The close code of a WebSocket (RFC 6455, section 7.4); {@link cutOff} if no close frame is sent, undefined if the
   * WebSocket stays open.
   */
  code: number | undefined;
  /** Whether clients reconnect by themselves. */
  reconnects: boolean;
}

/** Every reason for which the server ends a connection. */
export const disconnectReasons = {
  "slow consumer": { code: cutOff, reconnects: true },
  "rate limited": { code: 1008, reconnects: true },
  "unfinished packet": { code: cutOff, reconnects: true },
  "packet too large": { code: 1009, reconnects: true },
  "no namespace": { code: 1000, reconnects: true },
  "server shutting down": { code: 1001, reconnects: true },
  // RFC 6455 refers to IANA's registry for this code, "Try Again Later".
  unavailable: { code: 1013, reconnects: true },
  // These leave the namespace only: Socket.IO says so in a packet, and the WebSocket stays open.
  "token expired": { code: undefined, reconnects: false },
  bye: { code: undefined, reconnects: false },
} as const satisfies Record<string, Disconnect>;

export type DisconnectReason = keyof typeof disconnectReasons;

/** Whether a connection that ends for this reason leaves a namespace and keeps its session. */
export function leavesNamespaceOnly(reason: string): boolean {
  const disconnect: Disconnect | undefined = disconnectReasons[reason as DisconnectReason];
  return disconnect !== undefined && disconnect.code === undefined;
}

/** The length to which texts from clients are cut in log lines and error messages, in characters. */
export const maxQuotedChars = 128;

/** The error that a client receives. */
export interface ErrorInfo {
  code: ErrorCode;
  message: string;
  /** When to try again, in milliseconds, if known. */
  retryAfterMs?: number;
}

/** An error whose code and message the client receives. Any other error reaches the client as `internal`. */
export class ClientError extends Error {
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string = errors[code], retryAfterMs?: number) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Turns anything that was thrown into the error that the client receives. */
export function errorInfo(thrown: unknown): ErrorInfo {
  const { code, message, retryAfterMs } =
    thrown instanceof ClientError ? thrown : new ClientError("internal");
  return retryAfterMs === undefined ? { code, message } : { code, message, retryAfterMs };
}

/** A setting that cannot be used. The message is one sentence for the operator. */
export class SettingError extends Error {}
