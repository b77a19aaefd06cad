import { longestAnswerMs } from "./answer-time.ts";
import type { Node } from "./node.ts";

/** How often a lease is renewed within its time, and the longest interval, in milliseconds. */
const renewalsPerLease = 5;
const longestIntervalMs = 1_000;

/** The time without an answer after which the connections are opened again, in milliseconds. */
const longestSilenceMs = 3 * longestAnswerMs;

/** The options of a {@link Lease}. */
export interface LeaseOptions {
  node: Node;
  /** How long a node counts as alive after it was last heard of, in milliseconds. */
  nodeTimeoutMs: number;
  /** Brings this node up to date after a connection was opened. @param isForgotten whether Redis does not have its members */
  recover(isForgotten: boolean): Promise<void>;
  /** Ends all connections of this node, because the other nodes have removed its members. */
  removed(): void;
  /** Removes the members of another node whose lease is over. */
  remove(nodeId: string): Promise<void>;
  /** Called after each renewal. */
  renewed(): void;
}

/**
 * This node's lease. While it renews the lease, it counts as alive; when it does not, the other nodes remove its
 * members. A node judges others only after it has been able to renew its own lease for a whole lease's time: if Redis
 * stood still, all leases are over.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #timer: NodeJS.Timeout | undefined;
  #renewal: Promise<void> | undefined;
  #isRegistered = false;
  #needsRecovery = true;
  #isForgotten = false;
  /** The name of the Redis process that this node has last connected to. */
  #runId: string | undefined;
  #healthySinceMs: number | undefined;
  #answeredAtMs = performance.now();
  /** When the lease was last renewed, by the clock of Redis. */
  #renewedAtMs = 0;
  #isRemoving = false;
  #isClosed = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { link } = options.node;
    link.onTrouble = () => {
      this.#lost();
      void this.renew();
    };
    for (const client of [link.commands, link.subscriber]) {
      client.on("close", () => this.#lost());
      client.on("ready", () => void this.renew());
    }
  }

  get intervalMs(): number {
    return Math.min(this.#options.nodeTimeoutMs / renewalsPerLease, longestIntervalMs);
  }

  /** Begins to renew the lease. Resolves after the first attempt. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.renew(), this.intervalMs).unref();
    await this.renew();
  }

  /** Ends the lease. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#isClosed = true;
    const { link } = this.#options.node;
    if (!link.problem) await link.run("retire", this.#options.node.id).catch(() => {});
    link.hasLease = false;
  }

  /** Renews the lease. It never rejects. */
  renew(): Promise<void> {
    this.#renewal ??= this.#try().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #try(): Promise<void> {
    const { link } = this.#options.node;
    if (this.#isClosed) return;
    try {
      if (link.isConnected) {
        await this.#renew();
        this.#answeredAtMs = performance.now();
      }
    } catch {
      this.#lost();
    }
    if (performance.now() - this.#answeredAtMs < longestSilenceMs) return;
    this.#answeredAtMs = performance.now();
    link.reconnect();
  }

  #lost(): void {
    const { link, channels } = this.#options.node;
    link.hasLease = false;
    channels.stall();
    this.#healthySinceMs = undefined;
    this.#needsRecovery = true;
  }

  async #renew(): Promise<void> {
    const { node, nodeTimeoutMs, recover, removed, renewed } = this.#options;
    const { link } = node;
    if (this.#needsRecovery) await this.#checkRestart();
    const sentMs = performance.now();
    type Reply = [state: string, redisMs: number, isMore: 0 | 1, ...others: string[]];
    const [[state, redisMs, isMore, ...others]] = await Promise.all([
      link.runAnyway<Reply>("renew", node.id, nodeTimeoutMs),
      link.ping(),
    ]);
    const receivedMs = performance.now();
    link.setClock(redisMs, sentMs, receivedMs);
    if (state === "removed") {
      this.#isRegistered = false;
      this.#isForgotten = false;
      this.#needsRecovery = true;
      removed();
      node.rename();
      return this.#renew();
    }
    if (state === "new" && this.#isRegistered) this.#isForgotten = true;
    link.hasLease = true;
    this.#isRegistered = true;
    if (this.#needsRecovery || this.#isForgotten) {
      // A connection that is lost meanwhile needs another recovery.
      this.#needsRecovery = false;
      await recover(this.#isForgotten);
    }
    this.#isForgotten = false;
    link.recovered();
    renewed();
    if (isMore) setImmediate(() => void this.renew());
    this.#healthySinceMs ??= sentMs;
    // Redis or this node stood still, or the clock jumped: others, too, may have been unable to renew their leases.
    if (redisMs - this.#renewedAtMs > nodeTimeoutMs / 2) this.#healthySinceMs = receivedMs;
    this.#renewedAtMs = redisMs;
    if (receivedMs - this.#healthySinceMs >= nodeTimeoutMs) void this.#removeMembersOf(others);
  }

  /**
   * A Redis that has restarted may hold an older state than before: the node registers its members anew under another
   * name, and what is left under the old one is removed as that of a dead node.
   */
  async #checkRestart(): Promise<void> {
    const { node } = this.#options;
    const runId = await node.link.runId();
    const hasRestarted = runId !== undefined && this.#runId !== undefined && runId !== this.#runId;
    this.#runId = runId ?? this.#runId;
    if (!hasRestarted || !this.#isRegistered) return;
    await node.link.runAnyway("retire", node.id);
    node.rename();
    this.#isForgotten = true;
  }

  /** The lease is renewed meanwhile: many members may take longer than that. */
  async #removeMembersOf(others: readonly string[]): Promise<void> {
    if (this.#isRemoving) return;
    this.#isRemoving = true;
    const { node, remove } = this.#options;
    try {
      for (const other of new Set(others)) if (other !== node.id) await remove(other);
    } catch {
      // A later renewal finds the rest.
    } finally {
      this.#isRemoving = false;
    }
  }
}
