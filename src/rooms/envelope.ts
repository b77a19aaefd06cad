import type { Message, Presence, RoomName } from "../protocol.ts";

const stringify = JSON.stringify;

/** An event that the server sends to many connections, encoded for all of them at once. */
export interface Envelope {
  readonly event: "res" | "presence";
  /** A transient event is dropped for connections that are backed up. */
  readonly isTransient: boolean;
  /** The payload as JSON. */
  readonly json: string;
  /** The payload of the event, which a caller must not change. */
  readonly payload: Message | Presence;
}

/** A room's copy of a message that is encoded already. */
export class EncodedMessage implements Envelope {
  readonly event = "res";
  readonly json: string;
  readonly isTransient: boolean;

  constructor(json: string, isTransient = false) {
    this.json = json;
    this.isTransient = isTransient;
  }

  get payload(): Message {
    return JSON.parse(this.json);
  }
}

/** An event that is not logged. */
export class UnloggedEvent implements Envelope {
  readonly event: "res" | "presence";
  readonly payload: Message | Presence;
  readonly isTransient: boolean;
  private encoded: string | undefined;

  constructor(event: "res", payload: Message, isTransient?: boolean);
  constructor(event: "presence", payload: Presence);
  constructor(event: "res" | "presence", payload: Message | Presence, isTransient = false) {
    this.event = event;
    this.payload = payload;
    this.isTransient = isTransient;
  }

  get json(): string {
    this.encoded ??=
      this.event === "res"
        ? encodeCopy(this.payload as Message, (this.payload as Message).room, null)
        : stringify(this.payload);
    return this.encoded;
  }
}

/**
 * Encodes the copy of a message that is sent to a room. The result equals that of JSON.stringify, which is slower
 * because it must inspect the type of each field.
 */
export function encodeCopy(message: Message, room: RoomName | null, offset: string | null): string {
  return `${encodeStart(message, room)}${offset === null ? null : `"${offset}"`}}`;
}

/** The copy of a message up to the value of its last field, `offset`. */
export function encodeStart(message: Message, room: RoomName | null): string {
  const { id, type, userId, text, data, state, namespace, rooms, to, at } = message;
  const roomJson = stringify(room);
  const roomsJson = rooms.length === 1 && rooms[0] === room ? `[${roomJson}]` : stringify(rooms);
  return (
    `{"id":"${id}","type":"${type}","userId":${stringify(userId)},"text":${stringify(text)},` +
    `${data === undefined ? "" : `"data":${stringify(data)},`}"state":"${state}","namespace":"${namespace}",` +
    `"room":${roomJson},"rooms":${roomsJson},${to === undefined ? "" : `"to":${stringify(to)},`}` +
    `"at":${at},"offset":`
  );
}
