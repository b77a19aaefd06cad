import { Counter, Gauge } from "prom-client";
import type { Metrics } from "./ops/metrics.ts";
import type { Cluster } from "./redis/cluster.ts";

/** A script that takes longer than 2 seconds counts as a failure. */
const answerBuckets = [0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2];

/** Registers the metrics of a node that shares its rooms through Redis. */
export function registerRedis(metrics: Metrics, cluster: Cluster): void {
  const { node } = cluster;
  const { link, channels, publisher, departures } = node;
  const answers = metrics.histogram(
    "redis_answer_seconds",
    "Time of Redis to answer a script",
    answerBuckets,
  );
  link.onAnswer = (seconds) => answers.observe(seconds);
  const gauge = (name: string, help: string, value: () => number) =>
    metrics.single(Gauge, `redis_${name}`, help, value);
  const counter = (name: string, help: string, value: () => number) =>
    metrics.single(Counter, `redis_${name}_total`, help, value);

  gauge("up", "1 while this node can serve requests through Redis", () => (cluster.problem ? 0 : 1));
  gauge("subscribed_rooms", "Rooms whose channels this node is subscribed to", () => channels.size);
  gauge("waiting_departures", "Members that left and are not removed from Redis yet", () => departures.size);
  counter("published_messages", "Messages published", () => publisher.published);
  counter("received_events", "Events received from the channels of rooms", () => channels.counts.received);
  counter(
    "discarded_events",
    "Received events of rooms without a member on this node",
    () => channels.counts.discarded,
  );
  counter("repairs", "Times a room read what it had missed from its log", () => channels.counts.repairs);
  counter("resubscriptions", "Rooms subscribed to again", () => channels.counts.resubscriptions);
  counter("reconnects", "Connections to Redis that were opened again", () => link.counts.reconnects);
  counter("failures", "Commands that failed or were not answered in time", () => link.counts.failures);
  counter("removed_members", "Members of dead nodes that this node removed", () => node.removedMembers);
}
