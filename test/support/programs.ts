import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";

interface Program {
  /** What the suites that need it are about. */
  suites: string;
  /** A command that succeeds where the program is there. */
  probe: [command: string, ...args: string[]];
  /** The Debian packages that bring it. */
  packages: string;
}

const programs = {
  chromium: {
    suites: "the pages in a browser",
    probe: ["chromium", "--version"],
    packages: "chromium",
  },
  nginx: {
    suites: "the rooms behind nginx",
    probe: ["nginx", "-v"],
    packages: "nginx-light",
  },
  haproxy: {
    suites: "the rooms behind HAProxy",
    probe: ["haproxy", "-v"],
    packages: "haproxy",
  },
  "python3-socketio": {
    suites: "the Python client",
    probe: ["/usr/bin/python3", "-c", "import socketio, requests, websocket"],
    packages: "python3-socketio python3-requests python3-websocket",
  },
  git: {
    suites: "installing from git",
    probe: ["git", "--version"],
    packages: "git",
  },
  script: {
    suites: "the log on a terminal",
    probe: ["script", "-qec", "true", "/dev/null"],
    packages: "bsdutils",
  },
  openssl: {
    suites: "HTTPS",
    probe: ["openssl", "version"],
    packages: "openssl",
  },
  prometheus: {
    suites: "the dashboard's queries",
    probe: ["/usr/bin/prometheus", "--version"],
    packages: "prometheus",
  },
} satisfies Record<string, Program>;

/** The environment to start a program in: Debian keeps servers where not every user's PATH looks. */
export const programEnv = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin` };

/**
 * Why a suite that needs this program is skipped, for `node:test`; false where the program is there.
 *
 * @throws {Error} instead, where `CI=true`: there nothing may go untested
 */
export function skipWithout(name: keyof typeof programs): string | false {
  const { suites, probe, packages } = programs[name];
  const [command, ...args] = probe;
  if (spawnSync(command, args, { env: programEnv }).status === 0) return false;
  const reason = `Skipping ${suites}: no ${name} here. On Debian: apt-get install ${packages}`;
  if (process.env.CI === "true") throw new Error(reason);
  return reason;
}

/** Why a suite that sends signals is skipped, for `node:test`; false where they reach a process. */
export const skipWithoutSignals =
  process.platform === "win32" && "Skipping what signals do: on Windows they end a process at once";

/** Before the tests: says which suites will be skipped, where one cannot miss it. */
if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const name of Object.keys(programs) as (keyof typeof programs)[]) {
    const reason = skipWithout(name);
    if (reason) console.log(reason);
  }
  if (skipWithoutSignals) console.log(skipWithoutSignals);
}
