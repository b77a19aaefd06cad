import { Deferred } from "./deferred.ts";
import type { Version } from "./http.ts";

/** How a connection ended, as its client saw it (RFC 6455, 7.1.5 and 7.1.6). */
export interface Closing {
  code: number;
  reason: string;
}

/** Receives how many bytes a client has read and sent, counted as the server counts them. */
export interface Traffic {
  read(bytes: number, uncertain?: number): void;
  /** @param uncertain of these bytes, those that the server may not have read */
  wrote(bytes: number, uncertain?: number): void;
  /** The client will not read everything that was sent to it. */
  unread(): void;
}

export interface EngineOptions {
  version?: Version;
  /** Query parameters beside Engine.IO's own, such as `room=lobby`. */
  query?: string[];
  headers?: Record<string, string>;
  /** Joins the session with this id by an upgrade, instead of opening one. */
  sid?: string;
  /** Of longer packets only so much is read. */
  keptBytes?: number;
  traffic?: Traffic;
}

const uncounted: Traffic = { read() {}, wrote() {}, unread() {} };

/** An Engine.IO session by hand: it sends what it is told to, right or wrong, and answers heartbeats. */
export abstract class EngineClient {
  readonly version: Version;
  readonly traffic: Traffic;
  sid = "";
  /** Whether it keeps the session alive. */
  isAwake = true;
  /** Receives each packet of the server's. */
  onPacket: (packet: string) => void = () => {};
  onPing: () => void = () => {};
  readonly #opened = new Deferred();
  readonly #closed = new Deferred<Closing>();
  #heartbeat: NodeJS.Timeout | undefined;

  constructor({ version = 4, traffic = uncounted }: EngineOptions) {
    this.version = version;
    this.traffic = traffic;
  }

  /** Resolves when the server has opened the session; rejects if it refuses to. */
  get opened(): Promise<this> {
    return this.#opened.promise.then(() => this);
  }

  /** Resolves when the connection has ended, whoever ended it. */
  get closed(): Promise<Closing> {
    return this.#closed.promise;
  }

  /** @param isUncertain the server may not come to read it */
  abstract send(packet: string, isUncertain?: boolean): void;
  abstract close(): void;
  /** Goes away without a word. */
  abstract drop(): void;

  protected receive(packet: string): void {
    if (packet[0] === "0") this.#open(JSON.parse(packet.slice(1)));
    else if (packet[0] === "2" && this.version === 4) this.#answer();
    this.onPacket(packet);
  }

  protected end(closing: Closing): void {
    clearInterval(this.#heartbeat);
    this.#opened.reject(new Error(`closed with ${closing.code} ${closing.reason}`));
    this.#closed.resolve(closing);
  }

  /** From Engine.IO 4 on the server sends the pings, before that the client. */
  #open({ sid, pingInterval }: { sid: string; pingInterval: number }): void {
    this.sid = sid;
    this.#opened.resolve();
    if (this.version === 3)
      this.#heartbeat = setInterval(() => this.isAwake && this.send("2", true), pingInterval);
  }

  #answer(): void {
    if (this.isAwake) this.send("3", true);
    this.onPing();
  }
}
