import { Counter, Gauge } from "prom-client";
import { disconnectReasons, refusals } from "./errors.ts";
import type { Namespace } from "./namespaces/namespace.ts";
import { type Count, type Metrics, Tally } from "./ops/metrics.ts";
import type { LogStore } from "./rooms/log-store.ts";
import type { Rooms } from "./rooms/rooms.ts";

/** Registers the metrics of the rooms, which are read on each scrape. */
export function registerCore(metrics: Metrics, namespaces: readonly Namespace[], logs: LogStore): void {
  // Prometheus rates need a first sample of 0, so every label exists before its first occurrence.
  for (const code of Object.keys(refusals)) metrics.refusals.of([code]);
  for (const reason of Object.keys(disconnectReasons)) metrics.endings.of([reason]);

  const byNamespace = (
    Kind: typeof Counter | typeof Gauge,
    name: string,
    help: string,
    of: (rooms: Rooms) => number,
  ) =>
    metrics.sample(Kind, name, help, ["namespace"], () =>
      namespaces.map((namespace): Count => [[namespace.name], of(namespace.rooms)]),
    );

  metrics.sample(Gauge, "connections", "Connections now", ["namespace", "transport", "protocol"], () =>
    connectionsOf(namespaces),
  );
  byNamespace(Gauge, "rooms", "Rooms now", ({ hub }) => hub.roomCount);
  byNamespace(Counter, "deliveries_total", "Copies of messages delivered", ({ hub }) => hub.delivered);
  byNamespace(Gauge, "present_users", "Connected users, counted in each of their rooms", ({ hub }) =>
    hub.presentUsers(),
  );
  byNamespace(Gauge, "watchers", "Subscriptions to presence events now", ({ hub }) => hub.watchers);
  byNamespace(
    Counter,
    "duplicates_total",
    "Repeated requests that were not sent again",
    ({ counts }) => counts.duplicates,
  );
  byNamespace(
    Counter,
    "replayed_messages_total",
    "Messages replayed from logs",
    ({ counts }) => counts.replayed,
  );
  metrics.sample(Counter, "replays_total", "Replays by verdict", ["namespace", "status"], () =>
    namespaces.flatMap(({ name, rooms }) =>
      Object.entries(rooms.counts.replays).map(([status, count]): Count => [[name, status], count]),
    ),
  );
  metrics.single(Counter, "logged_messages_total", "Messages logged", () => logs.logged.messages);
  metrics.single(Counter, "logged_bytes_total", "Bytes of messages logged", () => logs.logged.bytes);
  metrics.single(Gauge, "log_messages", "Messages in the logs now", () => logs.messages);
  metrics.single(Gauge, "log_bytes", "Memory of the logs", () => logs.bytes);
}

/** The number of connections by namespace, transport and protocol version. */
function connectionsOf(namespaces: readonly Namespace[]): Tally {
  const tally = new Tally();
  for (const { name, rooms } of namespaces) {
    for (const { transport, protocol } of rooms.hub.connections) {
      tally.add([name, transport, String(protocol)]);
    }
  }
  return tally;
}
