import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { settingRows } from "../src/config/read.ts";
import { parseDocument } from "../src/http/markdown.ts";
import { chatEvents } from "./support/events.ts";
import { nodeVersions } from "./support/nodes.ts";

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const readme = read("README.md");
const all = (pattern: RegExp) => [...readme.matchAll(pattern)].map(([, match = ""]) => match);

test("the README's links lead to files and their fragments to headings", () => {
  for (const link of all(/\]\(([^)]+)\)/g)) {
    const [path = "", id] = link.split("#");
    assert.ok(existsSync(new URL(`../${path}`, import.meta.url)), link);
    if (id)
      assert.ok(
        parseDocument(read(path)).headings.some((heading) => heading.id === id),
        link,
      );
  }
});

test("the README lists exactly the events that exist", () => {
  const [, section = ""] = readme.split("\n## Events\n");
  const [table = ""] = section.split("\n## ");
  const events = [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, event]) => event);
  assert.deepEqual(events, chatEvents());
});

test("the README's flags exist", () => {
  const flags = new Set(["help", ...settingRows.map(({ flag }) => flag)]);
  for (const flag of all(/`--([a-z-]+)/g)) assert.ok(flags.has(flag), flag);
});

test("the README names exactly the Node versions that are tested", () => {
  const [first, ...rest] = nodeVersions;
  const { engines } = JSON.parse(read("package.json"));
  const [, least] = engines.node.match(/^>=(\d+\.\d+)$/);
  const versions = `Node.js ${first} (${least} or later), ${rest.slice(0, -1).join(", ")} or ${rest.at(-1)}`;
  assert.ok(readme.replaceAll("\n", " ").includes(versions), versions);
});

test("the README's pictures are in the repository but are not served", () => {
  const pictures = [...readme.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, path = ""]) => path);
  assert.ok(pictures.length > 0);
  for (const path of pictures) {
    assert.ok(existsSync(new URL(`../${path}`, import.meta.url)), path);
    assert.doesNotMatch(path, /^asset\//);
  }
});
