import { enginePath as engine, httpRequest as request, type Version } from "../support/http.ts";
import type { Random } from "../support/random.ts";
import { type Packet, text } from "./conversation.ts";
import { framed } from "./frames.ts";
import { type Form, payload } from "./payload.ts";
import { ownSid } from "./requests.ts";

/** One step of a session; its sockets are numbered, and the first send on each of them opens it. */
export type Step =
  | { do: "send"; on: number; bytes: Buffer; packets: number; requests: number }
  | { do: "await"; on: number; what: "sid" | "answer" | "end" }
  | { do: "pause"; ms: number }
  | { do: "reset" | "end" | "mute"; on: number };

/** Records the steps of a session before there is a server. */
export class Script {
  readonly steps: Step[] = [];
  readonly random: Random;
  readonly version: Version;
  readonly form: Form;
  /** The query parameters of every URL of this session. */
  readonly query: string[];
  #sockets = 0;

  constructor(random: Random) {
    this.random = random;
    this.version = random.chance(0.6) ? 4 : 3;
    this.form = random.weighted([
      [6, "text"],
      [3, "binary"],
      [1, "jsonp"],
    ]);
    this.query = this.#query();
  }

  #query(): string[] {
    const query = this.random.pick([
      [],
      ["room=lobby"],
      ["room=lobby&room=den", "userId=ann"],
      ["userId=%F0%9F%91%8B"],
    ]);
    if (this.form === "jsonp") return [...query, `j=${this.random.between(0, 9)}`];
    return this.version === 3 && this.form === "text" ? [...query, "b64=1"] : query;
  }

  /** The number of a new socket. */
  socket(): number {
    return this.#sockets++;
  }

  get sockets(): number {
    return this.#sockets;
  }

  send(on: number, bytes: Buffer, { packets = 0, requests = 0 } = {}): void {
    this.steps.push({ do: "send", on, bytes, packets, requests });
  }

  /** Sends bytes in two pieces, split at a random offset. */
  sendInPieces(on: number, bytes: Buffer, counts: { packets?: number; requests?: number }): void {
    const at = this.random.between(0, bytes.length);
    this.send(on, bytes.subarray(0, at), counts);
    this.pause(5);
    this.send(on, bytes.subarray(at));
  }

  await(on: number, what: "sid" | "answer" | "end"): void {
    this.steps.push({ do: "await", on, what });
  }

  pause(mostMs: number): void {
    this.steps.push({ do: "pause", ms: this.random.between(0, mostMs) });
  }

  reset(on: number): void {
    this.steps.push({ do: "reset", on });
  }

  /** Ends the sending half of a socket. */
  end(on: number): void {
    this.steps.push({ do: "end", on });
  }

  /** Stops reading from a socket. */
  mute(on: number): void {
    this.steps.push({ do: "mute", on });
  }

  /** Opens a polling session and waits for its id. */
  openPolling(on: number): void {
    this.send(on, request(engine(this.version, "polling", ...this.query)), { requests: 1 });
    this.await(on, "sid");
  }

  /** The path and query of the session, once it is open. */
  address(transport: "polling" | "websocket", sid = ownSid): string {
    return engine(this.version, transport, `sid=${sid}`, ...this.query);
  }

  poll(on: number, sid = ownSid): void {
    const headers = this.random.chance(0.3) ? { "accept-encoding": "gzip" } : {};
    this.send(on, request(this.address("polling", sid), { headers }), { requests: 1 });
  }

  post(on: number, packets: readonly Packet[], sid = ownSid): void {
    const { body, type } = payload(packets, this.version, this.form);
    const bytes = request(this.address("polling", sid), {
      method: "POST",
      headers: { "content-type": type },
      body,
    });
    const counts = { packets: packets.length, requests: 1 };
    if (this.random.chance(0.1)) this.sendInPieces(on, bytes, counts);
    else this.send(on, bytes, counts);
  }

  /** Sends packets over a WebSocket in one write. */
  frames(on: number, ...packets: (Packet | string)[]): void {
    const frames = packets.map((packet) =>
      framed(this.random, typeof packet === "string" ? text(packet) : packet, this.version),
    );
    const counts = { packets: packets.length };
    if (this.random.chance(0.1)) this.sendInPieces(on, Buffer.concat(frames), counts);
    else this.send(on, Buffer.concat(frames), counts);
  }
}
