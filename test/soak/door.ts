import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { GenuineGuest } from "./genuine-guest.ts";
import { settings } from "./house.ts";
import { RawGuest } from "./raw-guest.ts";
import type { Turn } from "./visitors.ts";
import { WebSocketWire } from "./websocket-wire.ts";

/*
 * Those who do not get in.
 */

const origin = "https://elsewhere.example";

/** A page of another site opens a WebSocket. */
export const foreigner: Turn = async ({ ledger, address }) => {
  const wire = new WebSocketWire(ledger, address, { origin });
  const [, response] = (await once(wire.ws, "unexpected-response")) as [unknown, IncomingMessage];
  const body = (await response.toArray()).join("");
  mustBe("origin_not_allowed", JSON.parse(body).code);
  ledger.refused("origin_not_allowed");
};

/** A page of another site polls. */
export const foreignPoller: Turn = async ({ ledger, address }) => {
  const response = await fetch(`${address}&EIO=4&transport=polling`, { headers: { origin } });
  mustBe("origin_not_allowed", (await response.json()).code);
  ledger.refused("origin_not_allowed");
};

/** Asks a namespace to be let in as this user and to these rooms; hears the code of the refusal, if it has one. */
const stranger =
  (namespace: string, code: string | undefined, userId: unknown, rooms: number): Turn =>
  async ({ ledger, address }) => {
    const wire = await WebSocketWire.open(ledger, address);
    const guest = new RawGuest(wire, namespace as "/", userId as string);
    const room = Array.from({ length: rooms }, (_, n) => `r${n}`);
    const { message } = (await guest.connect(room).catch((error) => error)) as Error;
    mustBe(code, message.match(/"code":"(\w+)"/)?.[1]);
    if (code) ledger.refused(code);
    else mustBe(true, message.includes("Invalid namespace"));
    wire.close();
  };

/** Has a userId that is none. */
export const nameless = stranger("/", "bad_payload", "", 0);
/** Has a userId that is no text. */
export const numbered = stranger("/chat", "bad_payload", 7, 1);
/** Asks for more rooms than one may be in. */
export const greedy = stranger("/", "too_many_rooms", "greedy", settings["max-rooms"] + 1);
/** Asks for a namespace that does not exist, which counts for nothing. */
export const astray = stranger("/nowhere", undefined, "astray", 0);

/** A real client with a wrong userId. */
export const genuineStranger: Turn = async ({ ledger, house: { url } }) => {
  const who = { namespace: "/" as const, userId: "\u0000", room: [], transports: ["websocket" as const] };
  const guest = new GenuineGuest(ledger, { url, ...who });
  const refusal = await guest.connected().catch((error) => error);
  mustBe("bad_payload", refusal.data?.code);
  ledger.refused("bad_payload");
  guest.disconnect();
};

function mustBe(expected: unknown, actual: unknown): void {
  if (actual !== expected) throw new Error(`expected ${expected} at the door, got ${actual}`);
}
