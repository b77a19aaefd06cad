import { Deferred } from "./deferred.ts";
import type { Version } from "./http.ts";

/** How a connection ended, as seen by its client (RFC 6455, 7.1.5 and 7.1.6). */
export interface Closing {
  code: number;
  reason: string;
}

/** Receives how many bytes a client has read and sent, counted as the server counts them. */
export interface Traffic {
  read(bytes: number, uncertain?: number): void;
  /** @param uncertain how many of these bytes the server may not have read */
  wrote(bytes: number, uncertain?: number): void;
  /** The client will not read everything that was sent to it. */
  unread(): void;
}

export interface EngineOptions {
  version?: Version;
  /** Query parameters in addition to Engine.IO's own, such as `room=lobby`. */
  query?: string[];
  headers?: Record<string, string>;
  /** Upgrades the session with this id instead of opening a new one. */
  sid?: string;
  /** The client reads at most this many bytes of each packet and skips the rest. */
  keptBytes?: number;
  traffic?: Traffic;
}

const uncounted: Traffic = { read() {}, wrote() {}, unread() {} };

/** A hand-driven Engine.IO session: it sends any packets, valid or not, and answers heartbeats. */
export abstract class EngineClient {
  readonly version: Version;
  readonly traffic: Traffic;
  sid = "";
  /** Whether the client keeps the session alive. */
  isAwake = true;
  /** Called with each packet from the server. */
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

  /** Resolves when the connection has ended, whichever side ended it. */
  get closed(): Promise<Closing> {
    return this.#closed.promise;
  }

  /** @param isUncertain whether the server might never read the packet */
  abstract send(packet: string, isUncertain?: boolean): void;
  abstract close(): void;
  /** Drops the connection without a close packet. */
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

  /** Since Engine.IO 4 the server sends the pings; before, the client did. */
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
