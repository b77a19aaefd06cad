import { execFile } from "node:child_process";

/** Runs a command of the tests, such as the fuzzer, until it exits; if it finds something, its output names the seed. */
export function runTool(file: string, args: readonly string[]): Promise<{ code: unknown; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--import", "tsx", file, ...args], (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, output: stdout + stderr }),
    );
  });
}
