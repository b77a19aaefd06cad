import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";

interface Program {
  /** The subject of the suites that need the program. */
  suites: string;
  /** A command that succeeds if the program is installed. */
  probe: [command: string, ...args: string[]];
  /** The Debian packages that contain it. */
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
  redis: {
    suites: "several nodes on Redis",
    probe: ["redis-server", "--version"],
    packages: "redis-server",
  },
} satisfies Record<string, Program>;

/**
 * The environment to start a program in: Debian installs servers in folders that not every user's PATH has.
 */
export const programEnv = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin` };

/**
 * The `skip` option of a suite that needs this program: the reason, or false if the program is installed.
 *
 * @throws {Error} if the program is missing and `CI=true`, where no suite may be skipped
 */
export function skipWithout(name: keyof typeof programs): string | false {
  const { suites, probe, packages } = programs[name];
  const [command, ...args] = probe;
  if (spawnSync(command, args, { env: programEnv }).status === 0) return false;
  const reason = `Skipping ${suites}: ${name} is not installed. On Debian: apt-get install ${packages}`;
  if (process.env.CI === "true") throw new Error(reason);
  return reason;
}

/** The `skip` option of a suite that sends signals: the reason, or false if a process can handle them. */
export const skipWithoutSignals =
  process.platform === "win32" && "Skipping the tests of signals: on Windows they end a process at once";

/** Run before the tests: prints which suites will be skipped, where it is hard to miss. */
if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const name of Object.keys(programs) as (keyof typeof programs)[]) {
    const reason = skipWithout(name);
    if (reason) console.log(reason);
  }
  if (skipWithoutSignals) console.log(skipWithoutSignals);
}
