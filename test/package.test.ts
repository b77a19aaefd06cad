import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { enter } from "./support/client.ts";
import { Command } from "./support/command.ts";
import { skipWithout } from "./support/programs.ts";

const repository = fileURLToPath(new URL("..", import.meta.url));

/** On Windows, npm and the commands it installs are scripts that only a shell can start. */
const needsShell = (command: string) => process.platform === "win32" && command !== process.execPath;

/** Runs a command, fails unless it succeeds, and returns its output. */
function run(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    shell: needsShell(command),
  });
  const output = `${stdout}${stderr}`;
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${output}`);
  return output;
}

/** Copies the sources as a fresh clone has them; the copy is deleted when the test ends. */
function freshCopy(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const left = ["node_modules", "dist", "coverage", ".git"];
  cpSync(repository, folder, { recursive: true, filter: (path) => !left.includes(basename(path)) });
  return folder;
}

interface Locked {
  packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>;
}

test("the lock file lists every platform's packages and no download URLs", () => {
  const { packages }: Locked = JSON.parse(readFileSync(join(repository, "package-lock.json"), "utf8"));
  const names = Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, ""));
  for (const [path, { resolved, optionalDependencies = {} }] of Object.entries(packages)) {
    assert.equal(resolved, undefined, path);
    for (const name of Object.keys(optionalDependencies)) assert.ok(names.includes(name), `${path}: ${name}`);
  }
});

test("packages whose internals roomcast uses are pinned to exact versions", () => {
  const { dependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  for (const name of ["socket.io", "engine.io", "socket.io-adapter", "socket.io-parser", "ws"])
    assert.match(dependencies[name], /^\d+\.\d+\.\d+$/, name);
});

const server = `
import Fastify from "fastify";
import { roomcast } from "roomcast";

const app = Fastify();
app.get("/", () => "my own page");
app.register(roomcast, { maxRooms: 3 });
console.log("open " + (await app.listen({ port: 0, host: "127.0.0.1" })));
`;

const typedClient = `
import { io, type Socket } from "socket.io-client";
import { roomClient } from "roomcast/client";
import type { ChatEvents, Receipt, RootEvents, ServerEvents } from "roomcast/protocol";
import type { FastifyInstance } from "fastify";
import type { RoomcastOptions } from "roomcast";

export const options: RoomcastOptions = { pingIntervalMs: 1_000 };
export const clients = (app: FastifyInstance): number => app.roomcast.io.engine.clientsCount;
const root: Socket<ServerEvents, RootEvents> = io();
const chat: Socket<ServerEvents, ChatEvents> = io("/chat");

root.on("res", (message) => {
  message.text satisfies string;
  message.at satisfies number;
});
root.on("bye", (context) => context?.rooms satisfies string[] | undefined);
root.emit("join", "lobby", (reply) => {
  if ("error" in reply) reply.error.code satisfies string;
  else reply.members satisfies number;
});
root.emit("chat", "to all");
root.emit("chat", "to one", "lobby", (receipt) => {
  if (!("error" in receipt)) receipt.recipients satisfies number;
});
chat.emit("msg", "hello", (echo) => echo satisfies string | object);
const client = roomClient<ChatEvents>(chat, { token: async () => "token" });
export const receipt: Promise<Receipt> = client.chat("hello", { room: "lobby" });
client.socket.on("sync", ({ status }) => status satisfies "new" | "complete" | "gap");
// @ts-expect-error: the / namespace has no msg event
root.emit("msg", "hello");
// @ts-expect-error: a room is a string
root.emit("join", 7);
// @ts-expect-error: there is no such event
root.on("message", () => {});
`;

test("npm ci --omit=dev succeeds without a compiler and reports that nothing was built", (t) => {
  const copy = freshCopy(t);
  const output = run(copy, "npm", "ci", "--omit=dev", "--prefer-offline", "--foreground-scripts");
  assert.match(output, /development packages are not installed: there is no dist/);
  assert.doesNotMatch(output, /EBADENGINE/);
});

const skipGit =
  process.env.CI === "true"
    ? skipWithout("git")
    : "Skipping the installation from git, which reinstalls and rebuilds everything: set CI=true to run it";

test("installs from git and builds itself", { skip: skipGit }, (t) => {
  const [copy, folder] = [freshCopy(t), mkdtempSync(join(tmpdir(), "roomcast-"))];
  t.after(() => rmSync(folder, { recursive: true }));
  run(copy, "git", "init", "--quiet");
  run(copy, "git", "add", ".");
  const author = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
  run(copy, "git", ...author, "commit", "--quiet", "--message", "all");
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  run(folder, "npm", "install", "--prefer-offline", `git+${pathToFileURL(copy)}`);
  const names = 'import("roomcast").then((module) => console.log(typeof module.roomcast))';
  assert.match(run(folder, process.execPath, "--eval", names), /^function/);
  assert.match(run(folder, "npx", "--no-install", "roomcast", "--help"), /^Usage: roomcast/m);
});

/** The HTTP status of paths that a browser may request from the command. */
const served = {
  "/": 200,
  "/js/main.js": 200,
  "/socket.io/roomcast-client.js": 200,
  "/vendor/lit-html/lit-html.js": 200,
  "/vendor/lit-html/directives/repeat.js": 200,
  "/vendor/lit-html/LICENSE": 404,
  "/page.png": 404,
};

describe("the package installed into an empty folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "roomcast-"));
  const start = (command: string, ...args: string[]) =>
    new Command(
      spawn(command, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], shell: needsShell(command) }),
    );
  let installed = "";
  after(() => rmSync(folder, { recursive: true }));

  before(() => {
    // run.ts has built dist, which other tests use meanwhile.
    run(repository, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", folder);
    const [tarball = ""] = readdirSync(folder);
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    installed = run(folder, "npm", "install", "--prefer-offline", `./${tarball}`);
    run(folder, "npm", "install", "--silent", "--prefer-offline", "fastify", "socket.io-client");
  });

  test("installs without a warning about the Node version", () => {
    assert.doesNotMatch(installed, /EBADENGINE/);
  });

  test("contains only the files needed to run and to serve", () => {
    const files = readdirSync(join(folder, "node_modules/roomcast")).toSorted();
    assert.deepEqual(files, ["LICENSE", "README.md", "asset", "dist", "package.json"]);
  });

  test("runs as the roomcast command", async (t) => {
    const command = start(join(folder, "node_modules/.bin/roomcast"), "--port", "0");
    t.after(() => command.process.kill());
    const url = await command.ready();
    const ann = await enter(t, url, "ann", "lobby");
    assert.equal((await ann.ask("chat", "hi")).recipients, 1);
    for (const [path, status] of Object.entries(served))
      assert.equal((await fetch(url + path)).status, status, path);
  });

  test("works as a Fastify plugin alongside the app's own routes", async (t) => {
    writeFileSync(join(folder, "server.js"), server);
    const command = start(process.execPath, "server.js");
    t.after(() => command.process.kill());
    const url = await command.ready();
    assert.equal(await (await fetch(url)).text(), "my own page");
    const ann = await enter(t, `${url}/chat`, "ann", "lobby");
    assert.equal(await ann.ask("msg", "hi"), "recv hi");
    for (const room of ["b", "c"]) await ann.ask("join", room);
    assert.equal((await ann.ask("join", "d")).error.code, "too_many_rooms");
  });

  test("types a client and rejects its wrong arguments at compile time", () => {
    writeFileSync(join(folder, "client.ts"), typedClient);
    const strict = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2023", "--types", ""];
    run(folder, join(repository, "node_modules/.bin/tsc"), ...strict, "client.ts");
  });
});
