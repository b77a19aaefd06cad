import type { Message, Presence } from "../protocol.ts";

const json = JSON.stringify;

/** An event that the server sends to many connections. It is encoded at most once. */
export class Envelope<Event extends "res" | "presence" = "res" | "presence"> {
  readonly event: Event;
  /** A transient event is dropped for connections that are backed up. */
  readonly isTransient: boolean;
  #payload: (Event extends "res" ? Message : Presence) | undefined;
  #json: string | undefined;

  constructor(event: Event, payload: Event extends "res" ? Message : Presence, isTransient = false) {
    this.event = event;
    this.isTransient = isTransient;
    this.#payload = payload;
  }

  /** The payload of the event. A caller must not change it. */
  get payload(): Event extends "res" ? Message : Presence {
    return this.#payload ?? JSON.parse(this.#json as string);
  }

  /** The payload as JSON. */
  get json(): string {
    this.#json ??= this.event === "res" ? encodeMessage(this.#payload as Message) : json(this.#payload);
    return this.#json;
  }

  /** The size of the JSON in memory, in bytes. */
  get jsonBytes(): number {
    const text = this.json;
    // The test also joins the pieces of which V8 has built the string.
    return /[^\0-\xff]/.test(text) ? 2 * text.length : text.length;
  }

  /** Keeps the JSON only, which takes less memory than the payload. */
  compact(): void {
    this.#json = this.json;
    this.#payload = undefined;
  }
}

/**
 * Encodes a message as JSON. The result equals that of JSON.stringify, which is slower because it must inspect the
 * type of each field.
 */
export function encodeMessage(message: Message): string {
  const { id, type, userId, text, data, state, namespace, room, rooms, to, at, offset } = message;
  return (
    `{"id":"${id}","type":"${type}","userId":${json(userId)},"text":${json(text)},` +
    `${data === undefined ? "" : `"data":${json(data)},`}"state":"${state}","namespace":"${namespace}",` +
    `"room":${json(room)},"rooms":${json(rooms)},${to === undefined ? "" : `"to":${json(to)},`}` +
    `"at":${at},"offset":${offset === null ? null : `"${offset}"`}}`
  );
}
