import { nodeLog } from "../ops/node-log.ts";
import type { LineLog } from "../ops/repeat-log.ts";
import type { Message, NamespaceName } from "../protocol.ts";
import type { Hub } from "../rooms/hub.ts";
import { RedisBroker } from "./broker.ts";
import { removeMembersOf } from "./dead-nodes.ts";
import { inspect } from "./inspect.ts";
import { Lease } from "./lease.ts";
import { Node, type NodeOptions } from "./node.ts";
import { RedisPresence } from "./presence.ts";

/** How often the keys of this node's rooms and users are kept from expiring, in milliseconds. */
const touchIntervalMs = 6 * 60 * 60 * 1_000;

/** Names in one call that keeps keys from expiring. */
const touchBatch = 200;

/** How exact the ends of grace periods are, in milliseconds. */
const expiryStepMs = 100;

/** This node and the others with which it shares its rooms through Redis. */
export class Cluster {
  readonly node: Node;
  /** The log of this node, whose lines name it. */
  readonly log: LineLog;
  readonly #lease: Lease;
  readonly #brokers = new Map<string, RedisBroker>();
  #touchedAtMs = performance.now();
  #isInspected = false;
  #nextExpiryMs = 0;

  constructor(options: NodeOptions, log: LineLog) {
    this.log = nodeLog(log, () => this.node.id);
    this.node = new Node(options, this.log);
    this.#lease = new Lease({
      node: this.node,
      nodeTimeoutMs: options.nodeTimeoutMs,
      recover: (isForgotten) => this.#recover(isForgotten),
      removed: () => this.#removed(),
      renewed: () => this.#renewed(),
      remove: (dead) => removeMembersOf(dead, this.node),
    });
    this.node.departures.onLost = () => this.#expireLater();
  }

  /** Why this node cannot serve requests; undefined if it can. */
  get problem(): string | undefined {
    return this.node.link.problem;
  }

  /** Creates the broker and the presence of a namespace. */
  store(namespace: NamespaceName, hub: Hub): { broker: RedisBroker; presence: RedisPresence } {
    const broker = new RedisBroker(namespace, hub, this.node);
    this.#brokers.set(namespace, broker);
    return { broker, presence: new RedisPresence(namespace, hub, this.node) };
  }

  /**
   * Connects to Redis, or begins to wait for it if it is absent.
   *
   * @throws {SettingError} if Redis refuses the login, or the user lacks rights
   */
  async open(): Promise<void> {
    await this.node.link.open();
    await this.#lease.start();
    this.node.link.opened();
    if (this.problem) this.log.warn({}, `waiting for Redis at ${this.node.link.address}`);
    else this.log.info({}, `this node shares its rooms through Redis at ${this.node.link.address}`);
  }

  /** Removes the last members from Redis and closes the connections. */
  async close(): Promise<void> {
    await this.node.departures.flush();
    await this.#lease.close();
    this.node.link.close();
  }

  async #recover(isForgotten: boolean): Promise<void> {
    this.node.channels.listen(this.node.id, (payload) => this.#deliverDirect(payload));
    await this.node.channels.resubscribe();
    if (isForgotten) {
      this.log.warn({}, "Redis has restarted: members are registered again");
      for (const broker of this.#brokers.values()) await broker.restore();
    }
    await this.node.departures.flush();
    await this.node.channels.catchUp();
    if (this.#isInspected) return;
    this.#isInspected = true;
    for (const warning of await inspect(this.node.link.commands)) this.log.warn({}, warning);
  }

  #removed(): void {
    this.log.warn({}, "this node was thought dead: its connections end, and its clients reconnect");
    this.node.departures.clear();
    for (const { hub } of this.#brokers.values())
      for (const connection of [...hub.connections]) connection.close("unavailable");
  }

  #renewed(): void {
    const nowMs = performance.now();
    void this.node.departures.flush();
    this.node.channels.catchUp().catch(() => {});
    this.node.channels.sweep(nowMs);
    if (nowMs - this.#touchedAtMs < touchIntervalMs) return;
    this.#touchedAtMs = nowMs;
    this.#touch().catch(() => {});
  }

  /** A renewal of the lease also ends the grace periods that are over. */
  #expireLater(): void {
    const { graceMs } = this.node;
    const nowMs = performance.now();
    const dueMs = Math.ceil((nowMs + graceMs) / expiryStepMs) * expiryStepMs;
    if (dueMs <= this.#nextExpiryMs) return;
    this.#nextExpiryMs = dueMs;
    setTimeout(() => void this.#lease.renew(), dueMs - nowMs + 1).unref();
  }

  async #touch(): Promise<void> {
    const names = [...this.#brokers].flatMap(([namespace, { hub }]) => [
      ...hub.roomNames().map((room) => ["room", namespace, room]),
      ...hub.userIds().map((userId) => ["user", namespace, userId]),
    ]);
    for (let at = 0; at < names.length; at += touchBatch)
      await this.node.link.run("touch", this.node.id, ...names.slice(at, at + touchBatch).flat());
  }

  /** Delivers a message that another node has sent to a user or a connection of this node. */
  #deliverDirect(payload: string): void {
    const [mode, namespace = "", ...json] = payload.split("\n");
    const message = JSON.parse(json.join("\n")) as Message & { to: string };
    const hub = this.#brokers.get(namespace)?.hub;
    if (mode === "user") hub?.tell(message);
    else hub?.whisper(message);
  }
}
