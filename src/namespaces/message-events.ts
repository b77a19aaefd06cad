import Type from "typebox";
import { ClientError } from "../errors.ts";
import {
  ChatOptions,
  ConnectionId,
  Data,
  type DirectReceipt,
  HistoryOptions,
  type Message,
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

const keyOf = ({ userId }: Member, id: string | null | undefined) =>
  id == null ? undefined : dedupKey(userId, id);

/** The events by which a member sends messages to rooms, users and connections, and reads those of a room again. */
export const messageEvents = ({ rooms, maxTextChars }: Setup) => {
  const text = Text(maxTextChars);
  const mustBeData = dataValidator(maxTextChars);

  /**
   * Answers a repeated request, even if its sender has left the room meanwhile.
   *
   * @throws {ClientError} `not_in_room` if the request is not a repeated one
   */
  const repeated = (dedupKey: string | undefined): Receipt | Promise<Receipt> => {
    const known = dedupKey === undefined ? undefined : rooms.duplicate(dedupKey);
    return after(known, (receipt) => {
      if (!receipt) throw new ClientError("not_in_room");
      return receipt;
    });
  };

  const chat = (member: Member, content: string, room?: RoomName | null, id?: string | null) => {
    const key = keyOf(member, id);
    if (room != null && !member.rooms.includes(room)) return repeated(key);
    const to = room == null ? member.rooms : [room];
    const message = rooms.compose(member, { type: "chat", text: `<= ${content}`, rooms: to });
    const receipt = rooms.publish({ message, dedupKey: key });
    return receipt instanceof Promise
      ? receipt.then((late) => said(member, message, late))
      : said(member, message, receipt);
  };

  /** A message that was sent becomes the context. */
  const said = (member: Member, message: Message, receipt: Receipt) => {
    if (!receipt.duplicate) member.context = message;
    return receipt;
  };

  const publish = (member: Member, room: RoomName, data: unknown, { id, transient }: PublishOptions) => {
    const key = keyOf(member, id);
    if (!member.rooms.includes(room)) return repeated(key);
    const message = rooms.compose(member, { type: "publish", text: "", data, rooms: [room] });
    return rooms.publish({ message, isTransient: transient === true, dedupKey: key });
  };

  return {
    chat: on(text, Type.Optional(Type.Union([RoomName, ChatOptions])), (member, content, to) => {
      return typeof to === "object" ? chat(member, content, to.room, to.id) : chat(member, content, to);
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
        return publish(member, room, data, options);
      },
    ),

    history: on(RoomName, Type.Optional(HistoryOptions), (member, room, options) => {
      rooms.mustBeIn(member, room);
      const before = options?.before == null ? undefined : positionOf(options.before);
      return rooms.history(room, before, options?.limit ?? defaultHistoryLimit);
    }),

    tell: on(UserId, text, (member, to, content) => {
      const message = { ...rooms.compose(member, { type: "tell", text: content, to, rooms: [] }), to };
      return after(rooms.tell(message), (recipients): DirectReceipt => ({ id: message.id, recipients }));
    }),

    whisper: on(ConnectionId, text, (member, to, content) => {
      const message = { ...rooms.compose(member, { type: "whisper", text: content, to, rooms: [] }), to };
      return after(rooms.whisper(message), (recipients): DirectReceipt => ({ id: message.id, recipients }));
    }),
  };
};
