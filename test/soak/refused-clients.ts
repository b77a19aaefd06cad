import { enginePath, exchange } from "../support/http.ts";
import { RawClient } from "./clients.ts";
import { RealClient } from "./real-client.ts";
import type { Behavior } from "./scenario.ts";
import { settings } from "./server-process.ts";

/*
 * Clients that the server must refuse.
 */

const headers = { origin: "https://elsewhere.example" };

/** A page of another site opens a WebSocket. */
export const foreign: Behavior = async (scenario) => {
  const { code, reason } = await scenario.openWebSocket({ headers }).closed;
  mustBe(403, code);
  mustBe(true, reason.includes('"code":"origin_not_allowed"'));
  scenario.counts.refused("origin_not_allowed");
};

/** A page of another site polls. */
export const foreignPoller: Behavior = async ({ counts, server }) => {
  const { body } = await exchange(`${server.url}${enginePath(4, "polling")}`, { headers });
  mustBe("origin_not_allowed", JSON.parse(body).code);
  counts.refused("origin_not_allowed");
};

/**
 * Connects with this userId and number of rooms; the server must refuse it, with this code if there is one.
 */
const refusal =
  (namespace: string, code: string | undefined, userId: unknown, rooms: number): Behavior =>
  async (scenario) => {
    const engine = await scenario.openWebSocket().opened;
    const client = new RawClient(engine, scenario.counts, namespace as "/", userId as string);
    const room = Array.from({ length: rooms }, (_, n) => `r${n}`);
    const { message } = (await client.connect(room).catch((error) => error)) as Error;
    mustBe(code, message.match(/"code":"(\w+)"/)?.[1]);
    if (code) scenario.counts.refused(code);
    else mustBe(true, message.includes("Invalid namespace"));
    engine.close();
  };

/** Has an empty userId. */
export const nameless = refusal("/", "bad_payload", "", 0);
/** Has a userId that is not a string. */
export const numbered = refusal("/chat", "bad_payload", 7, 1);
/** Asks for more rooms than a connection may be in. */
export const greedy = refusal("/", "too_many_rooms", "greedy", settings["max-rooms"] + 1);
/** Asks for a namespace that does not exist, which is not counted. */
export const astray = refusal("/nowhere", undefined, "astray", 0);

/** A socket.io-client with an invalid userId. */
export const realInvalid: Behavior = async ({ counts, server: { url } }) => {
  const options = { namespace: "/" as const, userId: "\u0000", room: [], transports: ["websocket" as const] };
  const client = new RealClient(counts, url, options);
  const refusal = await client.connected().catch((error) => error);
  mustBe("bad_payload", refusal.data?.code);
  counts.refused("bad_payload");
  client.disconnect();
};

function mustBe(expected: unknown, actual: unknown): void {
  if (actual !== expected) throw new Error(`expected ${expected} as the refusal, got ${actual}`);
}
