import type { Bounds, Ledger } from "./ledger.ts";
import { nameOf, total } from "./scrape.ts";

/** One comparison: what the server says, what its clients say. */
export interface Row {
  counter: string;
  server: number;
  clients: Bounds;
}

type Samples = ReadonlyMap<string, number>;

const counters = ["connects", "disconnects", "events", "deliveries", "refusals", "endings"].map(
  (name) => `roomcast_${name}_total`,
);
const bytes = ["roomcast_received_bytes_total", "roomcast_sent_bytes_total"];
const gauges = ["connections", "sessions", "rooms", "outbox_bytes", "outbox_worst_bytes"].map(
  (name) => `roomcast_${name}`,
);

const exactly = (count: number): Bounds => ({ least: count, most: count });

/** All that the server counts beside all that its clients saw, once these are gone. */
export function compare(ledger: Ledger, server: Samples): Row[] {
  return [...countedRows(ledger, server), ...sumRows(ledger, server), ...gaugeRows(server)];
}

/** Whatever either side knows of: what only one has seen is a disagreement too. */
function countedRows(ledger: Ledger, server: Samples): Row[] {
  const compared = new Set([...counters, ...bytes]);
  const keys = [...server.keys(), ...ledger.counters.keys()].filter((key) => compared.has(nameOf(key)));
  return [...new Set(keys)].toSorted().map((counter) => ({
    counter,
    server: server.get(counter) ?? 0,
    clients: ledger.counters.get(counter) ?? exactly(0),
  }));
}

/** What the server's figures say of each other, and what was handed out beside what was read. */
function sumRows(ledger: Ledger, server: Samples): Row[] {
  const disconnects = ["/", "/chat"].map((namespace) => {
    const having = `namespace="${namespace}"`;
    return {
      counter: `disconnects of ${namespace}, beside its connects`,
      server: total(server, "roomcast_disconnects_total", having),
      clients: exactly(total(server, "roomcast_connects_total", having)),
    };
  });
  const timed = {
    counter: "roomcast_handler_seconds_count, beside the events",
    server: total(server, "roomcast_handler_seconds_count"),
    clients: exactly(total(server, "roomcast_events_total")),
  };
  const copies = {
    counter: "deliveries, beside the copies that were read",
    server: total(server, "roomcast_deliveries_total"),
    clients: ledger.copies,
  };
  return [...disconnects, timed, copies];
}

function gaugeRows(server: Samples): Row[] {
  return gauges.map((counter) => ({ counter, server: total(server, counter), clients: exactly(0) }));
}

export const agrees = ({ server, clients }: Row): boolean =>
  server >= clients.least && server <= clients.most;

/** What is wrong, in words; nothing where all agrees. */
export function complaints(rows: readonly Row[], ledger: Ledger): string[] {
  return [
    ...rows
      .filter((row) => !agrees(row))
      .map((row) => `${row.counter}: the server counts ${row.server}, its clients ${inWords(row.clients)}`),
    ...[...ledger.surprises].map(([what, count]) => `a client was surprised, ${count} times: ${what}`),
  ];
}

const figure = (value: number) => value.toLocaleString("en");

export function inWords({ least, most }: Bounds): string {
  return least === most ? figure(least) : `${figure(least)} to ${figure(most)}`;
}

/** The table, in Markdown. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(
    (row) =>
      `| ${row.counter} | ${figure(row.server)} | ${inWords(row.clients)} | ${agrees(row) ? "agrees" : "DISAGREES"} |`,
  );
  return ["| counter | server | clients | verdict |", "|---|--:|--:|---|", ...lines].join("\n");
}
