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
import type { Publication } from "../rooms/broker.ts";
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

  /** Publishes a message that becomes public only if the sender may send it, and only once if it has an id. */
  const publish = (
    member: Member,
    id: string | null | undefined,
    mayPublish: () => void,
    publication: () => Publication,
  ): Receipt | Promise<Receipt> => {
    const key = id == null ? undefined : dedupKey(member.userId, id);
    const proceed = () => {
      mayPublish();
      return rooms.publish({ ...publication(), dedupKey: key });
    };
    // A repeated request is answered even if the sender has left the room meanwhile.
    return key === undefined ? proceed() : after(rooms.duplicate(key), (known) => known ?? proceed());
  };

  return {
    chat: on(text, Type.Optional(Type.Union([RoomName, ChatOptions])), (member, said, to) => {
      const { room, id } = typeof to === "string" ? { room: to, id: undefined } : (to ?? {});
      const publication = () => {
        const addressed = room == null ? member.rooms : [room];
        const message = rooms.compose(member, { type: "chat", text: `<= ${said}`, rooms: addressed });
        member.context = message;
        return { message, rooms: addressed };
      };
      const mayPublish = () => {
        if (room != null) rooms.mustBeIn(member, room);
      };
      return publish(member, id, mayPublish, publication);
    }),

    notice: on(text, (member, said) => {
      const reply = `have ${said}`;
      member.send("reply", reply);
      return reply;
    }),

    publish: on(
      RoomName,
      Data(maxTextChars),
      Type.Optional(PublishOptions),
      (member, room, data, options) => {
        mustBeData(data);
        const mayPublish = () => rooms.mustBeIn(member, room);
        const publication = () => ({
          message: rooms.compose(member, { type: "publish", text: "", data, rooms: [room] }),
          rooms: [room],
          isTransient: options?.transient === true,
        });
        return publish(member, options?.id, mayPublish, publication);
      },
    ),

    history: on(RoomName, Type.Optional(HistoryOptions), (member, room, options) => {
      rooms.mustBeIn(member, room);
      const before = options?.before == null ? undefined : positionOf(options.before);
      return rooms.history(room, before, options?.limit ?? defaultHistoryLimit);
    }),

    tell: on(UserId, text, (member, to, said): DirectReceipt => {
      const message = { ...rooms.compose(member, { type: "tell", text: said, to, rooms: [] }), to };
      return { id: message.id, recipients: rooms.tell(message) };
    }),

    whisper: on(ConnectionId, text, (member, to, said): DirectReceipt => {
      const message = { ...rooms.compose(member, { type: "whisper", text: said, to, rooms: [] }), to };
      return { id: message.id, recipients: rooms.whisper(message) };
    }),
  };
};
