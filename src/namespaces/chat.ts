import { type ChatEvents, Text } from "../protocol.ts";
import { namespace, on, type Setup } from "./namespace.ts";
import { talk } from "./talk.ts";

/** The `/chat` namespace: all that rooms can do, and an echo that is remembered. */
export const chat = (setup: Setup) =>
  namespace<ChatEvents>("/chat", setup, {
    ...talk(setup),
    msg: on(Text(setup.maxTextChars), (connection, text) => {
      connection.data.context = setup.rooms.compose(connection, { text, state: "normal", rooms: [] });
      return `recv ${text}`;
    }),
  });
