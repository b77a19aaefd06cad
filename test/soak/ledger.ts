import type { Ending, ErrorCode } from "../../src/errors.ts";
import { type Labels, series } from "./scrape.ts";

/** What a counter may say: where clients know exactly, both are one. */
export interface Bounds {
  least: number;
  most: number;
}

/** What an ack brought: `ok`, or the code of an error. */
export type Outcome = "ok" | ErrorCode;

/** The events that each namespace hears; all others are counted as one, `unknown`. */
const known: Record<string, ReadonlySet<string>> = {
  "/": new Set(["join", "leave", "chat", "notice", "bye", "auth"]),
  "/chat": new Set(["join", "leave", "chat", "notice", "bye", "auth", "msg"]),
};

/** What was on its way to a client, or put around packets, when nobody looked any more. */
const slackBytes = 16_384;

/** What all clients together saw, kept under the names of the server's counters. */
export class Ledger {
  readonly counters = new Map<string, Bounds>();
  /** What no client should have seen, in words, and how often. */
  readonly surprises = new Map<string, number>();
  /** Copies of messages that clients read, and how many more they may have been sent. */
  readonly copies: Bounds = { least: 0, most: 0 };

  connected(namespace: string): void {
    this.#saw("roomcast_connects_total", { namespace });
  }

  disconnected(namespace: string, reason: string): void {
    this.#saw("roomcast_disconnects_total", { namespace, reason });
  }

  /** Ended for not reading or for answering no ping: it took so long that clients cannot tell. */
  endedLate(namespace: string): void {
    for (const reason of ["slow consumer", "ping timeout"]) {
      this.#add("roomcast_disconnects_total", { namespace, reason }, 0, 1);
    }
    this.#add("roomcast_endings_total", { reason: "slow consumer" }, 0, 1);
  }

  answered(namespace: string, event: string, outcome: Outcome): void {
    this.#saw("roomcast_events_total", this.#labels(namespace, event, outcome));
  }

  /** An event that the server may have heard or not, for its client was gone before the ack could come. */
  perhapsAnswered(namespace: string, event: string, outcome: Outcome): void {
    this.#add("roomcast_events_total", this.#labels(namespace, event, outcome), 0, 1);
  }

  delivered(namespace: string, copies: number): void {
    this.#saw("roomcast_deliveries_total", { namespace }, copies);
  }

  refused(code: string): void {
    this.#saw("roomcast_refusals_total", { code });
  }

  ended(reason: Ending): void {
    this.#saw("roomcast_endings_total", { reason });
  }

  /** A copy of a message was read. */
  heard(): void {
    this.copies.least++;
    this.copies.most++;
  }

  /** Copies that were sent to who did not read, or may have been to who was about to go. */
  unheard(copies: number): void {
    this.copies.most += copies;
  }

  /** Bytes a client read; @param unsure of them, those that the server may not have counted */
  read(bytes: number, unsure = 0): void {
    this.#add("roomcast_sent_bytes_total", {}, bytes - unsure, bytes);
  }

  /** Bytes that were for a client which did not read them all. */
  unread(bytes = slackBytes): void {
    this.#add("roomcast_sent_bytes_total", {}, 0, bytes);
  }

  /** Bytes a client wrote; @param unsure of them, those that the server may not have read */
  wrote(bytes: number, unsure = 0): void {
    this.#add("roomcast_received_bytes_total", {}, bytes - unsure, bytes);
  }

  surprise(what: string): void {
    this.surprises.set(what, (this.surprises.get(what) ?? 0) + 1);
  }

  #labels(namespace: string, event: string, outcome: Outcome): Labels {
    return { namespace, event: known[namespace]?.has(event) ? event : "unknown", outcome };
  }

  #saw(name: string, labels: Labels, count = 1): void {
    this.#add(name, labels, count, count);
  }

  #add(name: string, labels: Labels, least: number, most: number): void {
    const key = series(name, labels);
    const bounds = this.counters.get(key);
    if (!bounds) this.counters.set(key, { least, most });
    else {
      bounds.least += least;
      bounds.most += most;
    }
  }
}
