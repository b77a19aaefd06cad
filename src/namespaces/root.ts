import type { RootEvents } from "../protocol.ts";
import type { Rooms } from "../rooms/rooms.ts";
import { namespace } from "./namespace.ts";
import { talk } from "./talk.ts";

/** The `/` namespace: all that rooms can do. */
export const root = (rooms: Rooms) =>
  namespace<RootEvents>({
    name: "/",
    rooms,
    events: talk(rooms),
  });
