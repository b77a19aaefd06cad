// Builds dist: the compiled sources, the client helper for browsers, and what the page loads of lit-html. Plain
// JavaScript that needs no shell, for `prepare` runs it wherever the package is installed from git or from a folder.
//   --if-possible  succeeds without the development packages (`npm ci --omit=dev` runs `prepare` too)
//   --if-stale     the same, and builds only if a source is newer than dist
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const [option] = process.argv.slice(2);

if (option === "--if-stale" && isFresh()) process.exit(0);
const compiler = resolved("typescript/package.json", "../bin/tsc");
// It resolves to the build for Node, in a folder of its own; the browsers' is one level up.
const litHtml = resolved("lit-html", "../..");
if (!compiler || !litHtml) {
  const state = existsSync("dist/main.js")
    ? "dist stays as it is"
    : "there is no dist, and roomcast will not start";
  console.error(`The development packages are not installed: ${state}.`);
  process.exit(option ? 0 : 1);
}
rmSync("dist", { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [compiler], { stdio: "inherit" });
if (status !== 0) process.exit(1);
const { transformSync } = await import("esbuild");
const { code } = transformSync(readFileSync("dist/client.js", "utf8"), { minify: true });
writeFileSync("dist/client.min.js", code);
const isServed = (path) => !/[\\/](node|development)$|\.(d\.ts|map|json|md)$/.test(path);
cpSync(litHtml, "dist/lit-html", { recursive: true, filter: isServed });

/** Whether dist is newer than everything it is built from. */
function isFresh() {
  if (!existsSync("dist/lit-html")) return false;
  const sources = ["src", ...readdirSync("src", { recursive: true }).map((name) => join("src", name))];
  const builtAt = statSync("dist/lit-html").ctimeMs;
  return [...sources, "package-lock.json", "tsconfig.json"].every((path) => statSync(path).ctimeMs < builtAt);
}

/** A path beside the file that a specifier stands for; undefined where the package is not installed. */
function resolved(specifier, path) {
  try {
    return join(fileURLToPath(import.meta.resolve(specifier)), path);
  } catch {
    return undefined;
  }
}
