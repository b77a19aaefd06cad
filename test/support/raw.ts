import { once } from "node:events";
import type { TestContext } from "node:test";
import { WebSocket } from "ws";

/** A hand-driven Engine.IO WebSocket: it sends any packets, valid or not. */
export class RawSocket {
  readonly frames: string[] = [];
  readonly ws: WebSocket;
  readonly #waiting = new Set<() => void>();

  constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("error", () => {});
    ws.on("message", (data) => {
      this.frames.push(data.toString());
      for (const look of this.#waiting) look();
    });
  }

  send(...frames: (string | Buffer)[]): void {
    for (const frame of frames) this.ws.send(frame);
  }

  /** Resolves with the first frame that matches, whether it has arrived already or arrives later. */
  receives(pattern: RegExp): Promise<string> {
    return new Promise((resolve) => {
      const look = () => {
        const frame = this.frames.find((received) => pattern.test(received));
        if (frame === undefined) return;
        this.#waiting.delete(look);
        resolve(frame);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    if (this.ws.readyState !== WebSocket.CLOSED) await once(this.ws, "close");
  }
}

/** The URL of Engine.IO for a transport and a protocol version. */
export function engineUrl(url: string, transport: "polling" | "websocket", query = "", eio = 4): string {
  const base = transport === "websocket" ? url.replace("http", "ws") : url;
  return `${base}/socket.io/?EIO=${eio}&transport=${transport}${query && `&${query}`}`;
}

/** Opens a raw socket and waits for its Engine.IO handshake. */
export async function openRaw(t: TestContext, url: string, query = "", eio = 4): Promise<RawSocket> {
  const raw = new RawSocket(new WebSocket(engineUrl(url, "websocket", query, eio)));
  t.after(() => raw.ws.terminate());
  await raw.receives(/^0/);
  return raw;
}

/** Opens a raw socket and connects it to `/`. */
export async function connectRaw(t: TestContext, url: string, query = ""): Promise<RawSocket> {
  const raw = await openRaw(t, url, query);
  raw.send("40");
  await raw.receives(/connected!/);
  return raw;
}

/** Opens a polling session by hand. @returns the URL of its polls and posts */
export async function openPolling(url: string, query = "", eio = 4): Promise<string> {
  const opened = await (await fetch(engineUrl(url, "polling", query, eio))).text();
  const [, sid] = opened.match(/"sid":"([^"]+)"/) ?? [];
  return engineUrl(url, "polling", `sid=${sid}`, eio);
}

/** The ways in which a session can arrive at its transport. */
export const ways = ["websocket", "polling", "upgrade"] as const;

/** A session in `/`, opened by hand. */
export interface RawSession {
  /** Sends an Engine.IO message. */
  send(packet: string): Promise<void>;
  /** Drops the connection without a close packet. */
  lose(): Promise<void>;
}

/** Opens a session over a transport, or over polling with an immediate upgrade, and connects it to `/`. */
export async function enterBy(
  t: TestContext,
  url: string,
  way: (typeof ways)[number],
  eio: number,
  query = "",
): Promise<RawSession> {
  if (way === "websocket") {
    const raw = await openRaw(t, url, query, eio);
    if (eio === 4) raw.send("40");
    return sessionOf(raw);
  }
  const session = await openPolling(url, query, eio);
  const post = async (packet: string) => {
    const body = eio === 4 ? packet : `${packet.length}:${packet}`;
    await (await fetch(session, { method: "POST", body })).text();
  };
  if (eio === 4) await post("40");
  if (way === "upgrade") {
    const raw = new RawSocket(new WebSocket(session.replace("http", "ws").replace("=polling", "=websocket")));
    t.after(() => raw.ws.terminate());
    await once(raw.ws, "open");
    raw.send("2probe");
    await raw.receives(/^3probe$/);
    raw.send("5");
    return sessionOf(raw);
  }
  // Reads what is queued, then holds a poll that `lose` aborts.
  await (await fetch(session)).text();
  const aborting = new AbortController();
  const poll = fetch(session, { signal: aborting.signal }).catch(() => {});
  t.after(() => aborting.abort());
  return {
    send: post,
    lose: async () => {
      aborting.abort();
      await poll;
    },
  };
}

const sessionOf = (raw: RawSocket): RawSession => ({
  send: async (packet) => raw.send(packet),
  lose: async () => raw.ws.terminate(),
});
