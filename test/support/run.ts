import { spawn, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/*
 * Runs the named test files, or all of them, in any shell: it relies on no pattern expansion, sets variables
 * (`ENGINE=stock`) itself, and passes all other arguments to Node (`--test-name-pattern picture`).
 */
const repository = fileURLToPath(new URL("../..", import.meta.url));
const allFiles = () =>
  readdirSync(join(repository, "test"), { recursive: true, encoding: "utf8" })
    .filter(isTestFile)
    .map((name) => join("test", name))
    .toSorted();

/**
 * Suites that take more than four seconds, because they wait for timeouts or start many processes, or that
 * measure their own process. Each has a process of its own; the other suites in `test/` share one.
 */
const slow = [
  "auth",
  "client",
  "dashboard",
  "drain",
  "empty-sessions",
  "fanout",
  "generations",
  "hostile",
  "inbound",
  "leaks",
  "limits",
].concat([
  "operations",
  "package",
  "pipeline",
  "recovery",
  "redis",
  "redis-operations",
  "redis-start",
  "settings",
  "shutdown",
  "slow",
  "tls",
  "write-path",
]);
const isQuick = (file: string) => dirname(file) === "test" && !slow.includes(basename(file, ".test.ts"));
const together = join("test", "support", "together.ts");

const args = process.argv.slice(2);
const variables = args.filter(isVariable);
const files = args.filter(isTestFile);
const flags = args.filter((arg) => !isVariable(arg) && !isTestFile(arg) && arg !== "--quick");
const quick = allFiles().filter(isQuick);
const slowFiles = args.includes("--quick") ? [] : allFiles().filter((file) => !isQuick(file));
const chosen = files.length > 0 ? files : [together, ...slowFiles];

// Tests of the command run dist, and nothing may rebuild it meanwhile.
const { status } = spawnSync(process.execPath, [".ci/build.js", "--if-stale"], {
  cwd: repository,
  stdio: "inherit",
});
if (status !== 0) process.exit(1);

const child = spawn(
  process.execPath,
  [
    ...["--import", "tsx", "--test", "--test-force-exit", "--test-timeout", "300000"],
    // Many tests wait rather than compute.
    ...["--test-concurrency", String(availableParallelism() + 1)],
    ...flags,
    ...chosen,
  ],
  {
    cwd: repository,
    stdio: "inherit",
    env: {
      ...process.env,
      SUITES: quick.join(),
      ...Object.fromEntries(variables.map((variable) => variable.split("=", 2))),
    },
  },
);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => {
  process.exitCode = code ?? 1;
});

function isTestFile(arg: string): boolean {
  return arg.endsWith(".test.ts");
}

function isVariable(arg: string): boolean {
  return /^[A-Z_]+=/.test(arg);
}
