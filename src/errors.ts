/** Why a request is refused: every code that a client may be told, with its sentence. The connection lives on. */
export const errors = {
  bad_payload: "The event's arguments are not what it expects.",
  not_in_room: "This connection is not in that room.",
  too_many_rooms: "This connection is in as many rooms as it may be.",
  unknown_event: "This namespace has no such event.",
  closing: "This connection has said bye and is being closed.",
  internal: "Something went wrong on the server; the request may or may not have been carried out.",
} as const;

export type ErrorCode = keyof typeof errors;

/** A refusal that the client is told in words. Whatever else is thrown, it is told only as `internal`. */
export class ClientError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string = errors[code]) {
    super(message);
    this.code = code;
  }
}

/** What the client may know of anything that was thrown. */
export function told(thrown: unknown): { code: ErrorCode; message: string } {
  const { code, message } = thrown instanceof ClientError ? thrown : new ClientError("internal");
  return { code, message };
}
