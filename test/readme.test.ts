import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { settingRows } from "../src/config/read.ts";
import { disconnectReasons, errors, refusals } from "../src/errors.ts";
import { chat } from "../src/namespaces/builtin.ts";
import { Rooms } from "../src/rooms/rooms.ts";
import { nodeVersions } from "./support/nodes.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

/** The first cells of the rows of the table under a heading. */
function firstCells(heading: string): string[] {
  const [, section = ""] = readme.split(`\n${heading}\n`);
  const [table = ""] = section.split(/\n#/);
  return [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, cell = ""]) => cell);
}

test("the README's settings are the settings", () => {
  const rows = settingRows.map(
    (row) =>
      `| \`--${row.flag}\` | \`${row.variable}\` | ${row.expected} | ${row.default} | ${row.description} |`,
  );
  assert.ok(readme.includes(rows.join("\n")), `The table under "## Settings" should be:\n${rows.join("\n")}`);
});

test("the README's versions of Node are those that are tested", () => {
  const [first, ...rest] = nodeVersions;
  const { engines } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const [, least] = engines.node.match(/^>=(\d+\.\d+)$/);
  const versions = `Node ${first} (from ${least}), ${rest.slice(0, -1).join(", ")} and ${rest.at(-1)}`;
  assert.ok(readme.replaceAll("\n", " ").includes(versions), versions);
});

test("the README's errors are the errors", () => {
  assert.deepEqual(firstCells("### Errors"), Object.keys(errors));
});

test("the README's refusals and endings are those there are", () => {
  assert.deepEqual(firstCells("### At the door"), Object.keys(refusals));
  assert.deepEqual(firstCells("### Endings"), Object.keys(disconnectReasons));
});

test("the README's events are the events", () => {
  assert.deepEqual(firstCells("### From the client"), [
    ...chat({ rooms: new Rooms("/chat", { maxRooms: 1 }), maxTextChars: 1 }).events.keys(),
  ]);
});

test("the README's pictures are in the repository, but not among what is served", () => {
  const pictures = [...readme.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map(([, path = ""]) => path);
  assert.ok(pictures.length > 0);
  for (const path of pictures) {
    assert.ok(existsSync(new URL(`../${path}`, import.meta.url)), path);
    assert.doesNotMatch(path, /^asset\//);
  }
});
