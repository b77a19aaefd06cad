import type { Message } from "../protocol.ts";

const json = JSON.stringify;

/**
 * The event `res` with a message, as the JSON of a Socket.IO packet: what JSON.stringify makes of it, without
 * asking of each field what it is.
 */
export function encodeRes({ id, userId, text, state, namespace, room, rooms, at }: Message): string {
  return (
    `["res",{"id":"${id}","userId":${json(userId)},"text":${json(text)},"state":"${state}",` +
    `"namespace":"${namespace}","room":${json(room)},"rooms":${json(rooms)},"at":${at}}]`
  );
}
