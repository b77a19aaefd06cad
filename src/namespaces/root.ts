import type { RootEvents } from "../protocol.ts";
import { namespace, type Setup } from "./namespace.ts";
import { talk } from "./talk.ts";

/** The `/` namespace: all that rooms can do. */
export const root = (setup: Setup) => namespace<RootEvents>("/", setup, talk(setup));
