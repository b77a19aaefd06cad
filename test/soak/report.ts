import type { ExpectedCounts, Range } from "./expected-counts.ts";
import { type Samples, settings, total, type Usage } from "./server-process.ts";

/** One comparison of a counter of the server with what its clients have seen. */
export interface Row {
  counter: string;
  server: number;
  clients: Range;
}

const counters = [
  ...[
    "connects_total",
    "disconnects_total",
    "events_total",
    "deliveries_total",
    "refusals_total",
    "endings_total",
  ],
  ...["received_bytes_total", "sent_bytes_total"],
].map((name) => `roomcast_${name}`);
const gauges = ["connections", "sessions", "rooms", "send_queue_bytes", "send_queue_worst_bytes"];

const exactly = (count: number): Range => ({ least: count, most: count });

/**
 * Compares all counters of the server with what its clients have seen, once the clients have disconnected.
 */
export function compare(counts: ExpectedCounts, server: Samples): Row[] {
  const isCompared = (key: string) => counters.includes(key.replace(/\{.*/, ""));
  const keys = new Set([...server.keys(), ...counts.series.keys()].filter(isCompared));
  const counted = [...keys].toSorted().map((counter) => ({
    counter,
    server: server.get(counter) ?? 0,
    clients: counts.series.get(counter) ?? exactly(0),
  }));
  const disconnects = ["/", "/chat"].map((namespace) => ({
    counter: `disconnects of ${namespace}, compared with its connects`,
    server: total(server, "roomcast_disconnects_total", `namespace="${namespace}"`),
    clients: exactly(total(server, "roomcast_connects_total", `namespace="${namespace}"`)),
  }));
  const handled = {
    counter: "roomcast_handler_seconds_count, compared with the events",
    server: total(server, "roomcast_handler_seconds_count"),
    clients: exactly(total(server, "roomcast_events_total")),
  };
  const copies = {
    counter: "deliveries, compared with the copies that were read",
    server: total(server, "roomcast_deliveries_total"),
    clients: counts.copies,
  };
  const left = gauges.map((name) => ({
    counter: `roomcast_${name}`,
    server: total(server, `roomcast_${name}`),
    clients: exactly(0),
  }));
  return [...counted, ...disconnects, handled, copies, ...left].filter(isCounted);
}

/** Leaves out rows for events that could have happened to a misbehaving client but did not. */
const isCounted = ({ counter, server, clients }: Row) =>
  !counter.includes("{") || server > 0 || clients.least > 0;

const agrees = ({ server, clients }: Row) => server >= clients.least && server <= clients.most;

/** The discrepancies and problems in words; empty if everything agrees. */
export function discrepancies(rows: readonly Row[], counts: ExpectedCounts): string[] {
  return [
    ...rows
      .filter((row) => !agrees(row))
      .map((row) => `${row.counter}: the server counts ${row.server}, its clients ${inWords(row.clients)}`),
    ...[...counts.problems].map(([what, count]) => `${count} times: ${what}`),
  ];
}

const figure = (value: number) => value.toLocaleString("en");

const inWords = ({ least, most }: Range) =>
  least === most ? figure(least) : `${figure(least)} to ${figure(most)}`;

/** The comparison as a table in Markdown. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(
    (row) =>
      `| ${row.counter} | ${figure(row.server)} | ${inWords(row.clients)} | ${agrees(row) ? "agrees" : "DISAGREES"} |`,
  );
  return ["| counter | server | clients | verdict |", "|---|--:|--:|---|", ...lines].join("\n");
}

/** A summary of how long the events of well-behaved clients took to be acked. */
export function ackTimes({ ackTimes }: ExpectedCounts): string {
  const sorted = Float64Array.from(ackTimes).sort();
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(1);
  return `${figure(sorted.length)} events of well-behaved clients acked: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}

/** The share by which resident memory may differ at the end. */
const tolerance = 0.1;

const mostResident = ({ resident }: Usage) =>
  resident + settings["memory-max"] + settings["inbound-memory-max"];

/** The leaks of memory and descriptors between two measurements, in words. */
export function leaks(start: Usage, end: Usage, peak: number, descriptors: number): string[] {
  const found: string[] = [];
  if (Math.abs(end.resident / start.resident - 1) > tolerance) {
    found.push(`resident memory was ${megabytes(start.resident)} and is ${megabytes(end.resident)}`);
  }
  const most = mostResident(start);
  if (peak > most)
    found.push(`resident memory was ${megabytes(peak)} at its peak, more than ${megabytes(most)}`);
  if (end.descriptors > descriptors) {
    found.push(`${end.descriptors} file descriptors are open, ${descriptors} were before the first client`);
  }
  return found;
}

/** Two measurements side by side, one line per figure. */
export function usage(start: Usage, end: Usage, peak: number, descriptors: number): string {
  const change = (which: "resident" | "heap" | "external") => {
    const percent = (100 * (end[which] / start[which] - 1)).toFixed(1);
    return `${megabytes(start[which])} after the warm-up, ${megabytes(end[which])} at the end: ${percent} %`;
  };
  return [
    `resident memory: ${change("resident")}`,
    `heap in use: ${change("heap")}`,
    `memory of buffers: ${change("external")}`,
    `peak of resident memory: ${megabytes(peak)}; allowed: ${megabytes(mostResident(start))}`,
    `file descriptors: ${descriptors} before the first client, ${end.descriptors} at the end`,
  ].join("\n");
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
