import { Counter, Gauge, Registry } from "prom-client";
import { Histogram } from "./histogram.ts";
import { registerProcess } from "./process-metrics.ts";

/** The values of a metric's labels, and the count. */
export type Count = [labels: string[], count: number];

/** Counts by labels. Each costs one entry of a Map until it is scraped. */
export class Tally {
  readonly #counts = new Map<string, Count>();

  add(labels: string[]): void {
    this.of(labels)[1]++;
  }

  /** The count of these labels, which the caller may increment. */
  of(labels: string[]): Count {
    const key = labels.join("\n");
    const known = this.#counts.get(key);
    if (known) return known;
    const count: Count = [labels, 0];
    this.#counts.set(key, count);
    return count;
  }

  [Symbol.iterator](): Iterator<Count> {
    return this.#counts.values();
  }
}

/** Gauges of one gateway, sampled on each scrape. Sizes in bytes. */
export interface GatewayGauges {
  sessions(): number;
  traffic(): { bytesIn: number; bytesOut: number };
  sendQueues(): { total: number; worst: number };
  inboundBytes(): number;
}

/** Event loop delay above which the server reports that it is not ready, in milliseconds. */
export const overloadDelayMs = 500;

const loopSampleMs = 100;
const handlerBuckets = [0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];
const loopBuckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** All metrics of the server (Prometheus text format 0.0.4). Times are in seconds, sizes in bytes. */
export class Metrics {
  readonly registry = new Registry();
  /** By namespace, event and outcome: `ok` or a code of `errors.ts`. */
  readonly events = new Tally();
  /** By namespace. */
  readonly connects = new Tally();
  /** By namespace and reason. */
  readonly disconnects = new Tally();
  /** Sessions that the server ended, and connections whose namespace it ended, by reason. */
  readonly endings = new Tally();
  /** Refused requests for a connection and refused handshakes with a namespace, by code. */
  readonly refusals = new Tally();
  /** TCP connections that were closed without an answer, by reason. */
  readonly tcpClosed = new Tally();
  /** The moving average of the event loop's delay, in milliseconds. */
  loopDelayMs = 0;
  readonly #handlers = this.histogram("handler_seconds", "Time to answer an event", handlerBuckets);
  readonly #loop = this.histogram("event_loop_delay_seconds", "Delay of the event loop", loopBuckets);
  readonly #gateways: GatewayGauges[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#registerGateways();
    this.sample(
      Counter,
      "events_total",
      "Events received",
      ["namespace", "event", "outcome"],
      () => this.events,
    );
    this.sample(Counter, "connects_total", "Accepted connections", ["namespace"], () => this.connects);
    this.sample(
      Counter,
      "disconnects_total",
      "Connections that ended",
      ["namespace", "reason"],
      () => this.disconnects,
    );
    this.sample(
      Counter,
      "endings_total",
      "Connections that the server ended",
      ["reason"],
      () => this.endings,
    );
    this.sample(
      Counter,
      "refusals_total",
      "Refused connections and handshakes",
      ["code"],
      () => this.refusals,
    );
    this.sample(
      Counter,
      "tcp_closed_total",
      "TCP connections closed without an answer",
      ["reason"],
      () => this.tcpClosed,
    );
    registerProcess(this.registry);
    let due = performance.now() + loopSampleMs;
    this.#timer = setInterval(() => {
      const delayMs = Math.max(0, performance.now() - due);
      due = performance.now() + loopSampleMs;
      this.#loop.observe(delayMs / 1_000);
      this.loopDelayMs += (delayMs - this.loopDelayMs) / 5;
    }, loopSampleMs).unref();
  }

  /** Adds a gateway. Each gauge is the sum over all gateways, except for the longest send queue. */
  addGateway(gauges: GatewayGauges): void {
    this.#gateways.push(gauges);
  }

  #registerGateways(): void {
    const sum = (
      Kind: typeof Counter | typeof Gauge,
      name: string,
      help: string,
      of: (gauges: GatewayGauges) => number,
    ) => this.single(Kind, name, help, () => this.#gateways.reduce((total, gauges) => total + of(gauges), 0));
    const worst = () => Math.max(0, ...this.#gateways.map((gauges) => gauges.sendQueues().worst));
    sum(Gauge, "sessions", "Sessions now", (gauges) => gauges.sessions());
    sum(Gauge, "send_queue_bytes", "Unread bytes of all clients", (gauges) => gauges.sendQueues().total);
    this.single(Gauge, "send_queue_worst_bytes", "Unread bytes of the slowest client", worst);
    sum(Gauge, "inbound_bytes", "Memory of incomplete packets", (gauges) => gauges.inboundBytes());
    sum(Counter, "received_bytes_total", "Bytes of packets received", (gauges) => gauges.traffic().bytesIn);
    sum(Counter, "sent_bytes_total", "Bytes of packets sent", (gauges) => gauges.traffic().bytesOut);
  }

  /** Counts an answered event. @param startMs when it was received, as of `performance.now()` */
  handled(count: Count, startMs: number): void {
    count[1]++;
    this.#handlers.observe((performance.now() - startMs) / 1_000);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Registers a metric whose counts are read on each scrape. @param name without the prefix `roomcast_` */
  sample(
    Kind: typeof Counter | typeof Gauge,
    name: string,
    help: string,
    labelNames: string[],
    counts: () => Iterable<Count>,
  ): void {
    new Kind({
      name: `roomcast_${name}`,
      help,
      labelNames,
      registers: [this.registry],
      collect(this: Counter | Gauge) {
        this.reset();
        for (const [labels, count] of counts()) this.labels(...labels).inc(count);
      },
    });
  }

  /** Registers a metric without labels whose value is read on each scrape. @param name without the prefix `roomcast_` */
  single(Kind: typeof Counter | typeof Gauge, name: string, help: string, value: () => number): void {
    this.sample(Kind, name, help, [], () => [[[], value()]]);
  }

  /** Registers a histogram. @param name without the prefix `roomcast_` */
  histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    return new Histogram(this.registry, `roomcast_${name}`, help, buckets);
  }
}
