import { type ChatEvents, type RootEvents, Text } from "../protocol.ts";
import { namespace, on, type Setup } from "./namespace.ts";
import { roomEvents } from "./room-events.ts";

/** The `/` namespace: all room events. */
export const root = (setup: Setup) => namespace<RootEvents>("/", setup, roomEvents(setup));

/** The `/chat` namespace: all room events, plus `msg`, an echo that becomes the connection's context. */
export const chat = (setup: Setup) =>
  namespace<ChatEvents>("/chat", setup, {
    ...roomEvents(setup),
    msg: on(Text(setup.maxTextChars), (member, text) => {
      member.context = setup.rooms.compose(member, { type: "msg", text, rooms: [] });
      return `recv ${text}`;
    }),
  });
