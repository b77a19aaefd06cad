import { type ChatEvents, Text } from "../protocol.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { namespace, on } from "./namespace.ts";
import { talk } from "./talk.ts";

/** The `/chat` namespace: all that rooms can do, and an echo that is remembered. */
export const chat = (rooms: Rooms) =>
  namespace<ChatEvents>({
    name: "/chat",
    rooms,
    events: {
      ...talk(rooms),
      msg: on(Text, (connection, text) => {
        connection.data.context = rooms.compose(connection, { text, state: "normal", rooms: [] });
        return `recv ${text}`;
      }),
    },
  });
