import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/*
 * `npm run test:nodes`: runs the suites that are not about browsers, proxies or npm under each supported
 * version of Node, which `npx` downloads. Prints a table and fails if a test failed. Accepts the names of
 * test files and versions (`npm run test:nodes 24 test/internals.test.ts`).
 */

/** The supported major versions of Node. */
export const nodeVersions = [20, 22, 24, 26];

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Suites that need a browser or Prometheus, or are about npm. */
const excluded = new Set(["dashboard.test.ts", "docs.test.ts", "package.test.ts"]);

interface Run {
  node: string;
  counts: Record<string, number>;
  seconds: number;
  isGreen: boolean;
}

async function run(version: number, files: string[]): Promise<Run> {
  const start = performance.now();
  const command = ["-y", "-p", `node@${version}`, "--", "node", "--import", "tsx", "test/support/run.ts"];
  const child = spawn("npx", [...command, "--test-reporter=tap", ...files], {
    cwd: repository,
    stdio: ["ignore", "pipe", "inherit"],
    // npx is a script on Windows.
    shell: process.platform === "win32",
  });
  let report = "";
  child.stdout.on("data", (chunk) => {
    report += chunk;
  });
  const [code] = await once(child, "close");
  const isGreen = code === 0;
  if (!isGreen) process.stdout.write(report);
  const counts = Object.fromEntries(
    ["pass", "fail", "skipped"].map((name) => [
      name,
      Number(report.match(new RegExp(`^# ${name} (\\d+)$`, "m"))?.[1]),
    ]),
  );
  return { node: `${version}`, counts, seconds: Math.round((performance.now() - start) / 1_000), isGreen };
}

async function main(args: string[]): Promise<void> {
  const named = args.filter((arg) => arg.endsWith(".test.ts"));
  const versions = args.filter((arg) => /^\d+$/.test(arg)).map(Number);
  const all = readdirSync(`${repository}/test`).filter((name) => name.endsWith(".test.ts"));
  const files = all.filter((name) => !excluded.has(name)).map((name) => `test/${name}`);
  const rows = ["| Node | passed | failed | skipped | seconds |", "|---|---|---|---|---|"];
  for (const version of versions.length > 0 ? versions : nodeVersions) {
    const { node, counts, seconds, isGreen } = await run(version, named.length > 0 ? named : files);
    rows.push(`| ${node} | ${counts.pass} | ${counts.fail} | ${counts.skipped} | ${seconds} |`);
    if (!isGreen) process.exitCode = 1;
  }
  console.log(rows.join("\n"));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
