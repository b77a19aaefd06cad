import Type from "typebox";
import {
  ChatOptions,
  ConnectionId,
  Data,
  type DirectReceipt,
  HistoryOptions,
  PublishOptions,
  type Receipt,
  RoomName,
  Text,
  UserId,
} from "../protocol.ts";
import { dedupKey } from "../rooms/dedup.ts";
import { after } from "../rooms/maybe-promise.ts";
import { positionOf } from "../rooms/position.ts";
import { dataValidator } from "./json-data.ts";
import type { Member } from "./member.ts";
import { on, type Setup } from "./namespace.ts";

/** The number of messages in an answer to `history`, if the request does not say. */
const defaultHistoryLimit = 50;

/** The events by which a member sends messages to rooms, users and connections, and reads those of a room again. */
export const messageEvents = ({ rooms, maxTextChars }: Setup) => {
  const text = Text(maxTextChars);
  const mustBeData = dataValidator(maxTextChars);

  /** Answers a repeated request, even if its sender has left the room meanwhile, and proceeds with any other. */
  const once = (
    member: Member,
    id: string | null | undefined,
    proceed: (dedupKey?: string) => Receipt | Promise<Receipt>,
  ): Receipt | Promise<Receipt> => {
    if (id == null) return proceed();
    const key = dedupKey(member.userId, id);
    return after(rooms.duplicate(key), (receipt) => receipt ?? proceed(key));
  };

  const chat = (member: Member, content: string, room: RoomName | null | undefined, dedupKey?: string) => {
    if (room != null) rooms.mustBeIn(member, room);
    const to = room == null ? member.rooms : [room];
    const message = rooms.compose(member, { type: "chat", text: `<= ${content}`, rooms: to });
    member.context = message;
    return rooms.publish({ message, dedupKey });
  };

  const publish = (
    member: Member,
    room: RoomName,
    data: unknown,
    { transient }: PublishOptions,
    dedupKey?: string,
  ) => {
    rooms.mustBeIn(member, room);
    const message = rooms.compose(member, { type: "publish", text: "", data, rooms: [room] });
    return rooms.publish({ message, isTransient: transient === true, dedupKey });
  };

  return {
    chat: on(text, Type.Optional(Type.Union([RoomName, ChatOptions])), (member, content, to) => {
      if (typeof to !== "object") return chat(member, content, to);
      return once(member, to.id, (key) => chat(member, content, to.room, key));
    }),

    notice: on(text, (member, content) => {
      const reply = `have ${content}`;
      member.send("reply", reply);
      return reply;
    }),

    publish: on(
      RoomName,
      Data(maxTextChars),
      Type.Optional(PublishOptions),
      (member, room, data, options = {}) => {
        mustBeData(data);
        return once(member, options.id, (key) => publish(member, room, data, options, key));
      },
    ),

    history: on(RoomName, Type.Optional(HistoryOptions), (member, room, options) => {
      rooms.mustBeIn(member, room);
      const before = options?.before == null ? undefined : positionOf(options.before);
      return rooms.history(room, before, options?.limit ?? defaultHistoryLimit);
    }),

    tell: on(UserId, text, (member, to, content): DirectReceipt => {
      const message = { ...rooms.compose(member, { type: "tell", text: content, to, rooms: [] }), to };
      return { id: message.id, recipients: rooms.tell(message) };
    }),

    whisper: on(ConnectionId, text, (member, to, content): DirectReceipt => {
      const message = { ...rooms.compose(member, { type: "whisper", text: content, to, rooms: [] }), to };
      return { id: message.id, recipients: rooms.whisper(message) };
    }),
  };
};
