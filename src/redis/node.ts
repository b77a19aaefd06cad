import { randomBytes } from "node:crypto";
import type { LineLog } from "../ops/repeat-log.ts";
import { Channels } from "./channels.ts";
import { Departures } from "./departures.ts";
import { RedisLink } from "./link.ts";
import { Publisher } from "./publisher.ts";

/** The settings of a node. */
export interface NodeOptions {
  /** The URL of Redis. */
  redis: string;
  redisPrefix: string;
  nodeTimeoutMs: number;
  presenceGraceMs: number;
  historySize: number;
  historyAgeMs: number;
  dedupTimeMs: number;
}

/** What the namespaces of a node share that keeps its rooms in Redis. */
export class Node {
  /** The name of this node. It changes when the node comes back after its members were removed. */
  id = newNodeId();
  readonly link: RedisLink;
  readonly channels: Channels;
  readonly publisher: Publisher;
  readonly departures: Departures;
  /** Members of dead nodes that this node has removed. */
  removedMembers = 0;
  readonly graceMs: number;
  readonly historyAgeMs: number;

  constructor(options: NodeOptions, log: LineLog) {
    const { redis, redisPrefix, presenceGraceMs, historyAgeMs } = options;
    this.graceMs = presenceGraceMs;
    this.historyAgeMs = historyAgeMs;
    this.link = new RedisLink({ url: redis, prefix: redisPrefix, log });
    this.channels = new Channels(this.link);
    const nodeId = () => this.id;
    this.publisher = new Publisher(this.link, { ...options, nodeId });
    this.departures = new Departures(this.link, { graceMs: presenceGraceMs, nodeId });
  }

  /** Gives the node another name, under which it has no members. */
  rename(): void {
    this.id = newNodeId();
  }
}

const newNodeId = () => randomBytes(5).toString("hex");
