#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import closeWithGrace from "close-with-grace";
import type { FastifyInstance } from "fastify";
import { build, renewCertificate } from "./app.ts";
import { help } from "./config/help.ts";
import { readSettings } from "./config/read.ts";
import type { Settings } from "./config/settings.ts";
import { SettingError } from "./errors.ts";
import { longestTimerMs } from "./limits/numbers.ts";
import { terminalLog } from "./terminal-log.ts";

/** What has not closed by then, once all clients were let go, is dropped with the process. */
const longestCloseMs = 1_800;

/** Signals of the machine: a process that listened for one would get it again and again, and never end. */
const faults = ["SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV"] as const;

const args = process.argv.slice(2);
if (args.includes("--help")) console.log(help());
else if (args.includes("--version")) console.log(version());
else await start();

async function start(): Promise<void> {
  try {
    const { port, logLevel, ...options } = readSettings(args, process.env);
    const app = await build(options, {
      level: logLevel,
      ...(process.stdout.isTTY && { stream: terminalLog(process.stdout) }),
    });
    const { host, drainDelayMs, drainTimeMs } = options;
    const delay = Math.min(drainDelayMs + drainTimeMs + 3 * longestCloseMs, longestTimerMs);
    const renewable = options.tlsCert !== undefined;
    const skip = [...faults, ...(renewable ? (["SIGHUP"] as const) : [])];
    closeWithGrace({ logger: app.log, delay, skip }, async ({ signal, err }) => {
      if (err) app.log.fatal({ err }, "ended by a fault");
      else app.log.info(`closing on ${signal}`);
      if (!err) await app.roomcast.drain();
      await Promise.race([app.close(), sleep(longestCloseMs)]);
    });
    if (renewable) process.on("SIGHUP", () => renew(app, options));
    await app.listen({ port, host, listenTextResolver: (address) => `roomcast is ready: open ${address}` });
  } catch (error) {
    console.error(sentence(error as NodeJS.ErrnoException));
    process.exit(1);
  }
}

/** Reads the certificate again; one that cannot be used changes nothing. */
function renew(app: FastifyInstance, { tlsCert = "", tlsKey = "" }: Partial<Settings>): void {
  try {
    renewCertificate(app, tlsCert, tlsKey);
    app.log.info("the certificate was read again");
  } catch (error) {
    app.log.error(`the certificate stays as it is: ${sentence(error as Error)}`);
  }
}

/** What the person who started it is told, in one sentence where the cause is theirs to mend. */
function sentence(
  error: NodeJS.ErrnoException & { address?: string; port?: number; hostname?: string },
): string {
  switch (error.code) {
    case "EADDRINUSE":
      return `Port ${error.port} on ${error.address} is in use: choose another with --port, or stop what listens there.`;
    case "EACCES":
      return `Port ${error.port} is not for this user to listen on: choose one above 1023 with --port.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAFNOSUPPORT":
    case "EINVAL":
      return `--host must be an address of this machine, not ${error.address ?? error.hostname}.`;
    default:
      return error instanceof SettingError ? error.message : String(error.stack);
  }
}

function version(): string {
  return JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version;
}
