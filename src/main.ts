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
import { longestTimerMs } from "./limits/timer.ts";
import { terminalLog } from "./terminal-log.ts";

/** How long the app may take to close after all clients have been disconnected; then the process exits. */
const longestCloseMs = 1_800;

/** Signals of faults. If the process handled one, it would receive it again and again, and never exit. */
const faultSignals = ["SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGSEGV"] as const;

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
    const skip = [...faultSignals, ...(renewable ? (["SIGHUP"] as const) : [])];
    closeWithGrace({ logger: app.log, delay, skip }, async ({ signal, err }) => {
      if (err) app.log.fatal({ err }, "closing after an uncaught error");
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

/** Reads the certificate again. If it cannot be used, the server keeps the old one. */
function renew(app: FastifyInstance, { tlsCert = "", tlsKey = "" }: Partial<Settings>): void {
  try {
    renewCertificate(app, tlsCert, tlsKey);
    app.log.info("the certificate was read again");
  } catch (error) {
    app.log.error(`the old certificate is kept: ${sentence(error as Error)}`);
  }
}

/** The message for the operator: one sentence if a setting is at fault, else the stack. */
function sentence(
  error: NodeJS.ErrnoException & { address?: string; port?: number; hostname?: string },
): string {
  switch (error.code) {
    case "EADDRINUSE":
      return `Port ${error.port} on ${error.address} is in use: choose another with --port, or stop what listens there.`;
    case "EACCES":
      return `This user may not listen on port ${error.port}: choose a port above 1023 with --port.`;
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
