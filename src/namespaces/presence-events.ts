import { RoomName } from "../protocol.ts";
import { on, type Setup } from "./namespace.ts";

/** The events by which a member learns which users are in a room. */
export const presenceEvents = ({ rooms }: Setup) => ({
  who: on(RoomName, (member, room) => {
    rooms.mustBeIn(member, room);
    return rooms.presence.who(room);
  }),

  watch: on(RoomName, (member, room) => {
    rooms.mustBeIn(member, room);
    return rooms.presence.watch(room, member);
  }),

  unwatch: on(RoomName, (member, room) => {
    rooms.presence.unwatch(room, member);
    return { room };
  }),
});
