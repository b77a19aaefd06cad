import type { EventEmitter } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { setImmediate as turn } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { coreOf, type RoomcastOptions } from "../../src/roomcast.ts";
import { buildServer } from "../support/server.ts";
import { maxPacketBytes } from "./conversation.ts";
import type { Counts, Question, Report } from "./target.ts";

/*
 * The fuzzed server in its own process. It reports its port, its faults and, on request, its open resources
 * and its memory use.
 */

/**
 * The timeouts soon remove everything that is abandoned, but let healthy clients survive a busy machine. Each
 * limit is low enough to be exceeded.
 */
const options: RoomcastOptions = {
  pingIntervalMs: 400,
  pingTimeoutMs: 5_000,
  handshakeTimeoutMs: 2_000,
  maxPayloadBytes: maxPacketBytes,
  sendQueueMaxBytes: 400_000,
  sendQueueAgeMs: 5_000,
  maxConnectionsPerAddress: 10_000,
  // Thousands of connections are left open at a time, and the healthy clients need some too.
  maxConnections: 100_000,
  maxRooms: 8,
};

/**
 * Exits if the channel fails, because the parent is gone: reporting that fault would fail again and again.
 */
const report = (message: Report): void => {
  process.send?.(message, undefined, undefined, (error) => error && process.exit());
};
const fault = (what: string, detail: unknown): void =>
  report({ fault: `${what}: ${detail instanceof Error ? detail.stack : detail}` });

process.on("uncaughtException", (error) => fault("uncaught exception", error));
process.on("unhandledRejection", (error) => fault("unhandled rejection", error));
process.on("warning", (warning) => {
  if (warning.name === "MaxListenersExceededWarning") fault("warning", warning);
});
process.on("disconnect", () => process.exit());

function log(line: string): void {
  const { level, msg, err } = JSON.parse(line);
  if (level >= 50) fault(`logged "${msg}"`, err?.stack ?? line);
}

const listeners = (emitter: Pick<EventEmitter, "eventNames" | "listenerCount">): number =>
  emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name as string), 0);

const total = (numbers: number[]): number => numbers.reduce((sum, number) => sum + number, 0);

async function counts(app: FastifyInstance): Promise<Counts> {
  const { server } = app;
  const { io } = app.roomcast;
  const hubs = coreOf(app).dispatchers.map(({ namespace }) => namespace.rooms.hub);
  const namespaces = [io.of("/"), io.of("/chat")];
  const resources = process.getActiveResourcesInfo();
  return {
    clients: io.engine.clientsCount,
    sessions: Object.keys((io.engine as unknown as { clients: object }).clients).length,
    sockets: total(namespaces.map((nsp) => nsp.sockets.size)),
    namespaces: io._nsps.size,
    rooms: total(hubs.map(({ roomCount }) => roomCount)),
    members: total(hubs.map(({ connections }) => [...connections].length)),
    keys: total(namespaces.map(({ adapter }) => adapter.rooms.size)),
    sids: total(namespaces.map(({ adapter }) => adapter.sids.size)),
    listeners: total([server, io.engine, io, ...namespaces].map((emitter) => listeners(emitter as never))),
    processListeners: listeners(process),
    timers: resources.filter((name) => name === "Timeout").length,
    tcpSockets: resources.filter((name) => name === "TCPSocketWrap").length,
    descriptors: existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0,
    connections: await new Promise((resolve) => server.getConnections((_error, count) => resolve(count))),
  };
}

/** The memory in use after garbage collection, which takes more than one turn. */
async function memory() {
  for (let n = 0; n < 4; n++) {
    await turn();
    globalThis.gc?.();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heapBytes: heapUsed + external, rssBytes: rss };
}

async function start(): Promise<void> {
  const app = await buildServer(options, { level: "info", stream: { write: log } });
  await app.listen({ port: 0, host: "127.0.0.1" });
  process.on("message", async (question: Question) => {
    if (question === "counts") report({ counts: await counts(app) });
    else report({ memory: await memory() });
  });
  report({ port: (app.server.address() as AddressInfo).port });
}

await start();
