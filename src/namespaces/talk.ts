import Type from "typebox";
import { ClientError } from "../errors.ts";
import { type Authorization, type Membership, RoomName, type RootEvents, Text, Token } from "../protocol.ts";
import type { Connection } from "./connection.ts";
import { allows, type Grant, mustAllow, watchExpiry } from "./grant.ts";
import { announce, depart, type Handler, on, type Setup } from "./namespace.ts";

/** What one can do in rooms: the events that every namespace hears. */
export const talk = ({ rooms, maxTextChars, authority }: Setup): Record<keyof RootEvents, Handler> => {
  const text = Text(maxTextChars);
  const membership = (connection: Connection, room: RoomName): Membership => ({
    room,
    rooms: [...connection.data.rooms],
    members: rooms.size(room),
  });

  /** Puts a new grant in the place of the last, and takes the connection out of the rooms that it does not allow. */
  const renew = (connection: Connection, grant: Grant): Authorization => {
    const { data } = connection;
    if (data.closing) throw new ClientError("closing");
    if (grant.userId !== data.userId) throw new ClientError("forbidden", "The token is another user's.");
    data.grant = grant;
    if (authority) watchExpiry(connection, authority.graceMs);
    for (const room of data.rooms) {
      if (allows(grant, room)) continue;
      rooms.leave(connection, room);
      announce(rooms, connection, "leave", room);
    }
    return { expiresAt: grant.expiresAt ?? null, rooms: [...data.rooms] };
  };

  return {
    join: on(RoomName, (connection, room) => {
      mustAllow(connection.data.grant, room);
      if (rooms.join(connection, room)) announce(rooms, connection, "join", room, connection);
      return membership(connection, room);
    }),

    leave: on(RoomName, (connection, room) => {
      rooms.leave(connection, room);
      announce(rooms, connection, "leave", room);
      return membership(connection, room);
    }),

    chat: on(text, Type.Optional(RoomName), (connection, said, room) => {
      if (room !== undefined) rooms.mustBeIn(connection, room);
      const to = room === undefined ? connection.data.rooms : [room];
      const message = rooms.compose(connection, { text: `<= ${said}`, state: "normal", rooms: to });
      connection.data.context = message;
      return { id: message.id, rooms: message.rooms, recipients: rooms.publish(message) };
    }),

    notice: on(text, (connection, said) => {
      const reply = `have ${said}`;
      connection.emit("reply", reply);
      return reply;
    }),

    bye: on((connection) => {
      const { context } = connection.data;
      connection.emit("bye", context);
      depart(rooms, connection);
      // The ack is sent when this returns; a connection that was ended before would lose it.
      setImmediate(() => connection.disconnect());
      return context?.text ?? "";
    }),

    auth: on(Token, (connection, token) => {
      if (!authority) throw new ClientError("unknown_event", "This server asks for no token.");
      const { data } = connection;
      const granted = authority.grant(token);
      // All are verified at once, but take effect in the order sent: the token that was sent last must win.
      const renewed = Promise.allSettled([data.lastAuth, granted])
        .then(() => granted)
        .then((grant) => renew(connection, grant));
      data.lastAuth = renewed;
      return renewed;
    }),
  };
};
