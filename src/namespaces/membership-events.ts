import Type from "typebox";
import { mustAllow } from "../auth/permissions.ts";
import { ClientError } from "../errors.ts";
import { type Joined, JoinOptions, type Membership, RoomName, Token } from "../protocol.ts";
import { after } from "../rooms/maybe-promise.ts";
import { startOf } from "../rooms/replay.ts";
import { untimed } from "./attempts.ts";
import { depart, join, leave, reauthenticate } from "./lifecycle.ts";
import type { Member } from "./member.ts";
import { on, type Setup } from "./namespace.ts";

/** The events by which a member joins and leaves rooms, says goodbye, and renews its token. */
export const membershipEvents = ({ rooms, authenticator }: Setup) => {
  const membership = (member: Member, room: RoomName): Membership => ({
    room,
    rooms: [...member.rooms],
    members: rooms.size(room),
  });

  return {
    join: on(RoomName, Type.Optional(JoinOptions), (member, room, options) => {
      mustAllow(member.permissions, room);
      const start = startOf(options?.since, options?.last);
      return after(join(rooms, member, room, start), () => {
        const verdict = rooms.replayRoom(rooms.replay(member), room, start);
        return untimed(after(verdict, (result): Joined => ({ ...membership(member, room), ...result })));
      });
    }),

    leave: on(RoomName, (member, room) => after(leave(rooms, member, room), () => membership(member, room))),

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
