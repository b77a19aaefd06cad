import Type from "typebox";
import { type Membership, RoomName, type RootEvents, Text } from "../protocol.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { announce, type Connection, depart, type Handler, on } from "./namespace.ts";

/** What one can do in rooms: the events that every namespace hears. */
export const talk = (rooms: Rooms): Record<keyof RootEvents, Handler> => {
  const membership = (connection: Connection, room: RoomName): Membership => ({
    room,
    rooms: [...connection.data.rooms],
    members: rooms.size(room),
  });

  return {
    join: on(RoomName, (connection, room) => {
      if (rooms.join(connection, room)) announce(rooms, connection, "join", room);
      return membership(connection, room);
    }),

    leave: on(RoomName, (connection, room) => {
      rooms.leave(connection, room);
      announce(rooms, connection, "leave", room);
      return membership(connection, room);
    }),

    chat: on(Text, Type.Optional(RoomName), (connection, text, room) => {
      if (room !== undefined) rooms.mustBeIn(connection, room);
      const to = room === undefined ? connection.data.rooms : [room];
      const message = rooms.compose(connection, { text: `<= ${text}`, state: "normal", rooms: to });
      connection.data.context = message;
      return { id: message.id, rooms: message.rooms, recipients: rooms.publish(message) };
    }),

    notice: on(Text, (connection, text) => {
      const reply = `have ${text}`;
      connection.emit("reply", reply);
      return reply;
    }),

    bye: on((connection) => {
      const { context, userId } = connection.data;
      connection.emit("bye", context);
      depart(rooms, connection, `<= ${userId} leaved`, "state");
      // The ack is sent when this returns; a connection that was ended before would lose it.
      setImmediate(() => connection.disconnect());
      return context?.text ?? "";
    }),
  };
};
