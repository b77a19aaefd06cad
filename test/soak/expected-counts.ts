import {
  type DisconnectReason,
  disconnectReasons,
  type ErrorCode,
  leavesNamespaceOnly,
} from "../../src/errors.ts";
import type { Traffic } from "../support/engine-client.ts";

/** The values that a counter may show; if the clients know the exact value, both are the same. */
export interface Range {
  least: number;
  most: number;
}

/** The outcome of an event: `ok`, or the code of an error. */
export type Outcome = "ok" | ErrorCode;

/** The events of each namespace; all others are counted as one, `unknown`. */
const rootEvents = ["join", "leave", "chat", "notice", "bye", "auth", "publish", "history"].concat([
  "who",
  "watch",
  "unwatch",
  "tell",
  "whisper",
]);
const known: Record<string, string[]> = { "/": rootEvents, "/chat": [...rootEvents, "msg"] };

/** Bytes, including those around packets, that may be in transit to a client when it stops reading. */
const slackBytes = 16_384;

/** Every reason for which a misbehaving connection may be counted as ended. */
const reasons = [
  ...[
    "transport close",
    "transport error",
    "parse error",
    "forced close",
    "packet too large",
    "ping timeout",
  ],
  ...["client namespace disconnect", ...Object.keys(disconnectReasons)],
];

/** What all clients together have seen, under the names of the server's counters. */
export class ExpectedCounts implements Traffic {
  readonly series = new Map<string, Range>();
  /** Things that must not happen to a client, with the number of times that they did. */
  readonly problems = new Map<string, number>();
  /** Copies of messages that clients read. */
  readonly copies: Range = { least: 0, most: 0 };
  /** How long each event of a well-behaved client took to be acked, in milliseconds. */
  readonly ackTimes: number[] = [];

  connected(namespace: string): void {
    this.#add("connects_total", { namespace });
  }

  disconnected(namespace: string, reason: string): void {
    this.#add("disconnects_total", { namespace, reason });
    if (leavesNamespaceOnly(reason)) this.#add("endings_total", { reason });
  }

  /** A connection to a namespace has ended, for one of several reasons. */
  endedByOneOf(namespace: string, possible: readonly string[] = reasons): void {
    for (const reason of possible) {
      this.#add("disconnects_total", { namespace, reason }, 0, 1);
      this.#add("endings_total", { reason }, 0, 1);
    }
  }

  answered(namespace: string, event: string, outcome: Outcome): void {
    this.#add("events_total", this.#labels(namespace, event, outcome));
  }

  /** The server may have handled this event; its client was gone before the ack could arrive. */
  perhapsAnswered(namespace: string, event: string, outcomes: readonly Outcome[]): void {
    for (const outcome of outcomes) this.#add("events_total", this.#labels(namespace, event, outcome), 0, 1);
  }

  delivered(namespace: string, copies: number, uncertain = 0): void {
    this.#add("deliveries_total", { namespace }, copies - uncertain, copies);
  }

  refused(code: string): void {
    this.#add("refusals_total", { code });
  }

  /** Requests that may be refused with this code. */
  perhapsRefused(code: string, most = 1): void {
    this.#add("refusals_total", { code }, 0, most);
  }

  ended(reason: DisconnectReason): void {
    this.#add("endings_total", { reason });
  }

  /** A copy of a message was read. */
  heard(): void {
    this.copies.least++;
    this.copies.most++;
  }

  /** Copies that may have been sent to a client that did not read them. */
  unheard(copies: number): void {
    this.copies.most += copies;
  }

  read(bytes: number, uncertain = 0): void {
    this.#add("sent_bytes_total", {}, bytes - uncertain, bytes);
  }

  unread(bytes = slackBytes): void {
    this.#add("sent_bytes_total", {}, 0, bytes);
  }

  wrote(bytes: number, uncertain = 0): void {
    this.#add("received_bytes_total", {}, bytes - uncertain, bytes);
  }

  problem(what: string): void {
    this.problems.set(what, (this.problems.get(what) ?? 0) + 1);
  }

  #labels(namespace: string, event: string, outcome: Outcome): Record<string, string> {
    return { namespace, event: known[namespace]?.includes(event) ? event : "unknown", outcome };
  }

  #add(name: string, labels: Record<string, string>, least = 1, most = least): void {
    const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    const key = `roomcast_${name}${pairs.length > 0 ? `{${pairs}}` : ""}`;
    const range = this.series.get(key) ?? { least: 0, most: 0 };
    this.series.set(key, { least: range.least + least, most: range.most + most });
  }
}
