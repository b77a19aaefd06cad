import Type from "typebox";
import { mustAllow } from "../auth/permissions.ts";
import { ClientError } from "../errors.ts";
import { type Membership, RoomName, type RootEvents, Text, Token } from "../protocol.ts";
import { after } from "../rooms/maybe-promise.ts";
import { announceJoin, announceLeave, depart, reauthenticate } from "./lifecycle.ts";
import type { Member } from "./member.ts";
import { type Handler, on, type Setup } from "./namespace.ts";

/** The events that every namespace accepts. */
export const roomEvents = ({
  rooms,
  maxTextChars,
  authenticator,
}: Setup): Record<keyof RootEvents, Handler> => {
  const text = Text(maxTextChars);
  const membership = (member: Member, room: RoomName): Membership => ({
    room,
    rooms: [...member.rooms],
    members: rooms.hub.size(room),
  });

  return {
    join: on(RoomName, (member, room) => {
      mustAllow(member.permissions, room);
      const announced = after(rooms.join(member, room), (isNew) =>
        isNew ? announceJoin(rooms, member, room) : undefined,
      );
      return after(announced, () => membership(member, room));
    }),

    leave: on(RoomName, (member, room) => {
      rooms.leave(member, room);
      return after(announceLeave(rooms, member, room), () => membership(member, room));
    }),

    chat: on(text, Type.Optional(RoomName), (member, said, room) => {
      if (room !== undefined) rooms.mustBeIn(member, room);
      const to = room === undefined ? member.rooms : [room];
      const message = rooms.compose(member, { text: `<= ${said}`, state: "normal", rooms: to });
      member.context = message;
      return after(rooms.publish(message), (recipients) => ({
        id: message.id,
        rooms: message.rooms,
        recipients,
      }));
    }),

    notice: on(text, (member, said) => {
      const reply = `have ${said}`;
      member.send("reply", reply);
      return reply;
    }),

    bye: on((member) => {
      const { context } = member;
      member.send("bye", context);
      return after(depart(rooms, member), () => {
        // The ack is sent after this returns. Closing the connection now would lose it.
        setImmediate(() => member.close("bye"));
        return context?.text ?? "";
      });
    }),

    auth: on(Token, (member, token) => {
      if (!authenticator) throw new ClientError("unknown_event", "This server asks for no token.");
      return authenticator.authenticate(token).then(async (permissions) => {
        if (member.closing) throw new ClientError("closing");
        await reauthenticate(rooms, member, permissions, authenticator);
        return { expiresAt: permissions.expiresAt ?? null, rooms: [...member.rooms] };
      });
    }),
  };
};
