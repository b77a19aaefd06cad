import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { programEnv } from "./programs.ts";

/** A test's changes to a shipped configuration: each text and its replacement. */
export type Edits = Record<string, string>;

/** A proxy in its own process, and its log so far. */
export class RunningProxy {
  said = "";
  readonly url: string;
  readonly process: ChildProcess;

  constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.process = process;
    process.stderr?.on("data", (data) => {
      this.said += data;
    });
  }

  /** Resolves when the proxy responds. */
  async ready(): Promise<this> {
    while (!(await answers(this.url))) {
      if (this.process.exitCode !== null) throw new Error(this.said);
      await sleep(10);
    }
    return this;
  }
}

const answers = (url: string) =>
  fetch(url).then(
    () => true,
    () => false,
  );

/** The text of a shipped configuration. */
export const shipped = (name: string): string =>
  readFileSync(new URL(`../proxies/${name}`, import.meta.url), "utf8");

function edited(text: string, edits: Edits): string {
  return Object.entries(edits).reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`There is no "${from}" to replace in:\n${before}`);
    return before.replaceAll(from, to);
  }, text);
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Creates a folder that is deleted when the test ends. */
function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "roomcast-proxy-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function start(t: TestContext, port: number, command: string, ...args: string[]): Promise<RunningProxy> {
  const child = spawn(command, args, { env: programEnv, stdio: ["ignore", "ignore", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  return new RunningProxy(`http://127.0.0.1:${port}`, child).ready();
}

/**
 * The main configuration around `nginx.conf`, in place of Debian's: one process, with all its files in a
 * folder.
 */
const aroundNginx = (path: string) => `
daemon off;
master_process off;
pid ${path}/pid;
events {}
http {
  access_log off;
  ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((what) => `${what}_temp_path ${path}/${what};`).join("\n  ")}
  include ${path}/roomcast.conf;
}
`;

/** Starts nginx with the shipped configuration on a free port; it is killed when the test ends. */
export async function startNginx(t: TestContext, edits: Edits, name = "nginx.conf"): Promise<RunningProxy> {
  const path = folder(t);
  const port = await freePort();
  const listen = { "listen 80;": `listen 127.0.0.1:${port};` };
  writeFileSync(join(path, "roomcast.conf"), edited(shipped(name), { ...listen, ...edits }));
  writeFileSync(join(path, "nginx.conf"), aroundNginx(path));
  return start(t, port, "nginx", "-e", "stderr", "-p", path, "-c", join(path, "nginx.conf"));
}

/** Starts HAProxy with the shipped configuration on a free port; it is killed when the test ends. */
export async function startHaproxy(
  t: TestContext,
  edits: Edits,
  name = "haproxy.cfg",
): Promise<RunningProxy> {
  const path = join(folder(t), "haproxy.cfg");
  const port = await freePort();
  const bind = { "bind :80": `bind 127.0.0.1:${port}` };
  writeFileSync(path, edited(shipped(name), { ...bind, ...edits }));
  return start(t, port, "haproxy", "-db", "-f", path);
}
