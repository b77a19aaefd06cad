import type { RootEvents } from "../protocol.ts";
import { membershipEvents } from "./membership-events.ts";
import { messageEvents } from "./message-events.ts";
import type { Handler, Setup } from "./namespace.ts";
import { presenceEvents } from "./presence-events.ts";

/** The events that every namespace accepts, in the order in which error messages and the documentation list them. */
export function roomEvents(setup: Setup): Record<keyof RootEvents, Handler> {
  const { join, leave, bye, auth } = membershipEvents(setup);
  const { chat, notice, ...messages } = messageEvents(setup);
  return { join, leave, chat, notice, bye, auth, ...messages, ...presenceEvents(setup) };
}
