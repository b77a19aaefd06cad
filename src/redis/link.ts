import { Redis, type RedisOptions } from "ioredis";
import { ClientError, SettingError } from "../errors.ts";
import type { LineLog } from "../ops/repeat-log.ts";
import { longestAnswerMs, NoAnswer, withinTime } from "./answer-time.ts";
import { explained, isLoginError, isSettingError, textOf } from "./problems.ts";
import { scripts } from "./scripts/scripts.ts";

/** The time after which Redis refuses to run a script, so that a request that has failed is not carried out later. */
const deadlineMs = 1_500;

/** The most bytes of commands that may wait for Redis. Further ones fail at once. */
const maxPendingBytes = 64_000_000;

const maxReconnectDelayMs = 500;

export type ScriptName = keyof typeof scripts;
type Argument = string | number;
type ScriptCommand = (...args: Argument[]) => Promise<unknown>;

/** The options of a {@link RedisLink}. */
export interface LinkOptions {
  /** A `redis:` or `rediss:` URL. */
  url: string;
  /** What the names of all keys and channels begin with. */
  prefix: string;
  log: LineLog;
}

/** Counts for the metrics. */
export interface LinkCounts {
  /** Commands that Redis did not answer in time, refused, or could not be sent. */
  failures: number;
  /** How often a connection was opened again. */
  reconnects: number;
}

/**
 * The connections to Redis: one for commands and one for subscriptions. No command is sent twice, and none waits until
 * Redis is back.
 */
export class RedisLink {
  readonly commands: Redis;
  readonly subscriber: Redis;
  /** What the names of all keys and channels begin with. */
  readonly prefix: string;
  /** Host and port of Redis. */
  readonly address: string;
  readonly counts: LinkCounts = { failures: 0, reconnects: 0 };
  /** Whether this node holds a lease, so that it may serve requests. */
  hasLease = false;
  /** Called with the time that Redis took to answer, in seconds. */
  onAnswer: (seconds: number) => void = () => {};
  /** Called when Redis did not answer in time, or refused a command because this node has lost its lease. */
  onTrouble: () => void = () => {};
  readonly #log: LineLog;
  /** The clock of Redis minus `performance.now()`, in milliseconds. */
  #clockOffsetMs = 0;
  #pendingBytes = 0;
  #isCorked = false;
  #lastProblem = "";
  #isOpened = false;
  #isClosed = false;

  constructor({ url, prefix, log }: LinkOptions) {
    this.#log = log;
    const { host, hostname } = new URL(url);
    this.address = host === hostname ? `${host}:6379` : host;
    const options = {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      connectTimeout: longestAnswerMs,
      keepAlive: 5_000,
      retryStrategy: (attempt: number) => Math.min(20 * attempt, maxReconnectDelayMs),
    } satisfies RedisOptions;
    const definitions = Object.entries(scripts).map(([name, lua]) => [
      nameOf(name),
      { lua, numberOfKeys: 0 },
    ]);
    this.commands = new Redis(url, { ...options, scripts: Object.fromEntries(definitions) });
    this.subscriber = new Redis(url, options);
    // All databases of a Redis share its channels.
    const { db } = this.commands.options;
    this.prefix = db ? `${prefix}@${db}` : prefix;
    for (const client of [this.commands, this.subscriber]) {
      client.on("error", (error: Error) => this.#failed(textOf(error)));
      // The error that ends a connection comes first, and says more.
      client.on("close", () => this.#lastProblem || this.#failed("the connection was closed"));
      client.once("ready", () => client.on("ready", () => this.counts.reconnects++));
    }
  }

  /** Whether both connections are open. */
  get isConnected(): boolean {
    return this.commands.status === "ready" && this.subscriber.status === "ready";
  }

  /** Why requests cannot be served; undefined if they can. */
  get problem(): string | undefined {
    return this.hasLease && this.isConnected ? undefined : `Redis at ${this.address} does not answer`;
  }

  /**
   * Connects. If Redis is absent or does not answer, it is waited for in the background.
   *
   * @throws {SettingError} if Redis refuses the login
   */
  async open(): Promise<void> {
    // If it fails, the reason was an event.
    await Promise.allSettled([this.commands, this.subscriber].map((client) => withinTime(client.connect())));
    this.#mustBeAccepted();
  }

  /**
   * Ends the start, after which every problem is one that may pass.
   *
   * @throws {SettingError} if the user lacks rights
   */
  opened(): void {
    this.#mustBeAccepted();
    this.#isOpened = true;
  }

  #mustBeAccepted(): void {
    const reason = this.#lastProblem;
    if (!isLoginError(reason) && !isSettingError(reason)) return;
    this.close();
    throw new SettingError(`Redis at ${this.address} cannot be used: ${explained(reason)}.`);
  }

  close(): void {
    this.#isClosed = true;
    this.commands.disconnect();
    this.subscriber.disconnect();
  }

  /** Closes connections on which nothing arrives, even during their handshake, so that they are opened again. */
  reconnect(): void {
    for (const client of [this.commands, this.subscriber])
      if (client.status === "ready" || client.status === "connect") client.disconnect(true);
  }

  /** The time by the clock of Redis until which it may carry out a request that arrives now. */
  get deadline(): number {
    return Math.round(performance.now() + this.#clockOffsetMs + deadlineMs);
  }

  /** Sets the clock of Redis. @param redisMs its time, between the two times of this process */
  setClock(redisMs: number, sentMs: number, receivedMs: number): void {
    this.#clockOffsetMs = redisMs - (sentMs + receivedMs) / 2;
  }

  /**
   * Runs a script. The prefix is its first argument.
   *
   * @throws {ClientError} `unavailable` if Redis did not carry it out, or if that is not known
   */
  async run<Reply>(name: ScriptName, ...args: Argument[]): Promise<Reply> {
    if (this.problem) throw new ClientError("unavailable");
    return this.runAnyway(name, ...args);
  }

  /** As {@link run}, even if this node has no lease. */
  async runAnyway<Reply>(name: ScriptName, ...args: Argument[]): Promise<Reply> {
    const bytes = args.reduce<number>((sum, arg) => sum + (typeof arg === "string" ? arg.length : 8), 64);
    if (this.#pendingBytes + bytes > maxPendingBytes) throw this.#unavailable();
    this.#pendingBytes += bytes;
    const startMs = performance.now();
    this.#cork();
    const command = (this.commands as never as Record<string, ScriptCommand>)[nameOf(name)] as ScriptCommand;
    const answer = command.call(this.commands, this.prefix, ...args);
    const settled = () => {
      this.#pendingBytes -= bytes;
    };
    answer.then(settled, settled);
    try {
      const reply = await withinTime(answer);
      this.onAnswer((performance.now() - startMs) / 1_000);
      return reply as Reply;
    } catch (error) {
      throw this.#unavailable(error as Error);
    }
  }

  /** The name of the Redis process, which changes when Redis restarts; undefined if this user may not ask. */
  async runId(): Promise<string | undefined> {
    const info = await withinTime(this.commands.info("server")).catch(() => "");
    return /run_id:(\w+)/.exec(info)?.[1];
  }

  /** Subscribes to channels. @throws {ClientError} `unavailable` */
  async subscribe(names: readonly string[]): Promise<void> {
    if (this.subscriber.status !== "ready") throw new ClientError("unavailable");
    await withinTime(this.subscriber.subscribe(...names)).catch((error) => {
      throw this.#unavailable(error);
    });
  }

  /** Checks that the subscriber's connection works. @throws {ClientError} `unavailable` */
  async ping(): Promise<void> {
    await withinTime(this.subscriber.ping()).catch((error) => {
      throw this.#unavailable(error);
    });
  }

  #unavailable(error?: Error): ClientError {
    this.counts.failures++;
    const message = error instanceof NoAnswer ? "no answer within 2 seconds" : (error?.message ?? "");
    if (message.includes("LEASE") || error instanceof NoAnswer) this.onTrouble();
    if (!/LEASE|LATE/.test(message)) this.#failed(message);
    return new ClientError("unavailable");
  }

  /** Commands of one event loop turn are written together. */
  #cork(): void {
    const { stream } = this.commands;
    if (this.#isCorked || !stream?.writable) return;
    this.#isCorked = true;
    stream.cork();
    setImmediate(() => {
      this.#isCorked = false;
      stream.uncork();
    });
  }

  /** Logs a problem once, until it is solved or another one occurs. */
  #failed(message: string): void {
    if (this.#isClosed || message === "" || message === this.#lastProblem) return;
    this.#lastProblem = message;
    // These end the start with the same sentence.
    if (!this.#isOpened && (isLoginError(message) || isSettingError(message))) return;
    this.#log.warn({}, `Redis at ${this.address} cannot be used: ${explained(message)}`);
  }

  /** Logs that Redis answers again, if there was a problem. */
  recovered(): void {
    if (this.#lastProblem) this.#log.info({}, `Redis at ${this.address} answers again`);
    this.#lastProblem = "";
  }
}

const nameOf = (script: string) => `roomcast:${script}`;
