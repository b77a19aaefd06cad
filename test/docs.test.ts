import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { settingRows } from "../src/config/read.ts";
import { RoomSettings } from "../src/config/settings.ts";
import { disconnectReasons, errors, refusals } from "../src/errors.ts";
import { parseDocument } from "../src/http/markdown.ts";
import { chatEvents } from "./support/events.ts";
import { startServer, type TestOptions } from "./support/server.ts";

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8");
const document = (name: string) => read(`../asset/docs/${name}.md`);
const names = readdirSync(new URL("../asset/docs", import.meta.url)).map((file) => file.replace(/\.md$/, ""));
const pathOf = (name: string) => (name === "index" ? "/docs/" : `/docs/${name}`);
const matches = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, match = ""]) => match);

/** The rows of the first table below a heading, each as its cells. */
function rows(name: string, heading: string): string[][] {
  const [, section = ""] = document(name).split(`\n## ${heading}\n`);
  const [table = ""] = section.match(/^\|.*(\n\|.*)+/m) ?? [];
  const [, , ...lines] = table.split("\n");
  return lines.map((line) => line.split(" | ").map((cell) => cell.replace(/^\| *| *\|$/g, "").trim()));
}

const firstCells = (name: string, heading: string) =>
  rows(name, heading).map(([cell = ""]) => cell.replaceAll("`", ""));

describe("tables", () => {
  test("the settings equal the code's", () => {
    const expected = settingRows.map(
      (row) =>
        `| \`--${row.flag}\`<br>\`${row.variable}\` | ${row.expected} | ${row.default} | ${row.description} |`,
    );
    const message = `The table under "Settings" should be:\n${expected.join("\n")}`;
    assert.ok(document("configuration").includes(`|\n${expected.join("\n")}\n\n`), message);
  });

  test("the plugin's options equal the code's", () => {
    const options = rows("plugin", "Options").map(([, option = ""]) => option.replaceAll("`", ""));
    assert.deepEqual(options, Object.keys(RoomSettings.properties));
  });

  test("the events equal the code's", () => {
    assert.deepEqual(firstCells("protocol", "Events from the client"), chatEvents());
  });

  test("the error codes equal the code's", () => {
    assert.deepEqual(firstCells("protocol", "Error codes"), Object.keys(errors));
  });

  test("the refused connections equal the code's, with their statuses", () => {
    const documented = rows("protocol", "Refused connections").map(([code = "", status]) => [
      code.replaceAll("`", ""),
      Number(status),
    ]);
    assert.deepEqual(documented, Object.entries(refusals));
  });

  test("the disconnect reasons equal the code's, with their close codes", () => {
    const documented = rows("protocol", "Disconnect reasons").map(([reason = "", code]) => [
      reason.replaceAll("`", ""),
      code === "–" ? undefined : Number(code),
    ]);
    const reasons = Object.entries(disconnectReasons);
    assert.deepEqual(
      documented,
      reasons.map(([reason, { code }]) => [reason, code]),
    );
  });

  test("the metrics equal those that the server reports", async (t) => {
    const reported = async (options: TestOptions) => {
      const { app } = await startServer(t, options);
      return (await app.roomcast.metrics.getMetricsAsArray()).map(({ name }) => name).toSorted();
    };
    const documented = firstCells("operations", "Metrics").toSorted();
    // No Redis is there, but the metrics of its absence are.
    assert.deepEqual(documented, await reported({ redis: "redis://127.0.0.1:1" }));
    assert.deepEqual(
      documented.filter((name) => !name.startsWith("roomcast_redis_")),
      await reported({}),
    );
  });

  test("the proxy configurations equal those that the tests run", () => {
    for (const [language, file] of [
      ["nginx", "nginx.conf"],
      ["nginx", "nginx-nodes.conf"],
      ["haproxy", "haproxy.cfg"],
      ["haproxy", "haproxy-nodes.cfg"],
    ]) {
      const block = `\`\`\`${language}\n${read(`./proxies/${file}`)}\`\`\`\n`;
      assert.ok(document("deployment").includes(block), file);
    }
  });

  test("every mentioned flag exists", () => {
    const flags = new Set(["help", "version", ...settingRows.map(({ flag }) => flag)]);
    // Flags of npm, Node.js and the development scripts.
    for (const other of [
      "omit",
      "no-install",
      "import",
      "test",
      "test-force-exit",
      "seconds",
      "seed",
      "seeds",
    ])
      flags.add(other);
    for (const other of ["only", "servers", "nodes", "json", "profile", "now"]) flags.add(other);
    for (const name of names) {
      for (const flag of matches(document(name), /(?<![\w-])--([a-z][a-z-]*)/g))
        assert.ok(flags.has(flag), `${name}: --${flag}`);
    }
  });
});

describe("pages", () => {
  test("every document is a page that is listed in the menu", async (t) => {
    const { url } = await startServer(t);
    for (const name of names) {
      const response = await fetch(url + pathOf(name));
      const html = await response.text();
      assert.equal(response.status, 200, name);
      assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
      assert.match(response.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
      assert.doesNotMatch(html, /<script|<style|\sstyle=|\son\w+=|src="http/, name);
      assert.equal(html.match(/<h1>/g)?.length, 1, name);
      if (name !== "index") assert.ok(html.includes(`<a href="/docs/${name}" aria-current="page">`), name);
    }
  });

  test("every internal link leads to a page and every fragment to one of its headings", async (t) => {
    const { url } = await startServer(t);
    const loaded = new Map<string, string>();
    const load = async (path: string) => {
      const known = loaded.get(path);
      if (known !== undefined) return known;
      const response = await fetch(url + path);
      assert.equal(response.status, 200, path);
      const html = await response.text();
      loaded.set(path, html);
      return html;
    };
    for (const name of names) {
      const html = await load(pathOf(name));
      for (const href of matches(html, /href="([^"]*)"/g).filter((href) => !href.startsWith("http"))) {
        const [path = "", id] = href.split("#");
        const target = await load(path || pathOf(name));
        if (id) assert.ok(target.includes(` id="${id}"`), `${name}: ${href}`);
      }
    }
  });

  test("any other path below /docs/ is not found", async (t) => {
    const { url } = await startServer(t);
    for (const path of ["nothing", "index", "protocol.md", "protocol/", "..%2ftheme.css", "__proto__"]) {
      assert.equal((await fetch(`${url}/docs/${path}`)).status, 404, path);
    }
  });

  test("/docs redirects to /docs/", async (t) => {
    const { url } = await startServer(t);
    const response = await fetch(`${url}/docs`, { redirect: "manual" });
    assert.deepEqual([response.status, response.headers.get("location")], [301, "/docs/"]);
  });

  test("an unchanged page is not sent again", async (t) => {
    const { url } = await startServer(t);
    const etag = (await fetch(`${url}/docs/protocol`)).headers.get("etag") as string;
    for (const [tag, status] of [
      [etag, 304],
      [`W/${etag}`, 304],
      [`"other", ${etag}`, 304],
      ["*", 304],
      ['"other"', 200],
    ] as const) {
      const response = await fetch(`${url}/docs/protocol`, { headers: { "if-none-match": tag } });
      assert.equal(response.status, status, tag);
      assert.equal(response.headers.get("etag"), etag);
      assert.equal(response.headers.get("cache-control"), "no-cache");
    }
  });
});

test("Markdown becomes HTML with the anchors that GitHub gives", () => {
  const { title, body, headings, links } = parseDocument(
    '# A "title" <b> & more\n\n## Use `--a-b`, twice\n\n## Use `--a-b`, twice\n\n[x](y-z.md#q) [i](index.md) [g](../g.json)\n\n```js\n<i>\n```\n\n| `a` "b" |\n|---|\n| `--c-d` |\n',
  );
  assert.equal(title, "A &quot;title&quot; &lt;b&gt; &amp; more");
  assert.deepEqual(
    headings.map(({ id }) => id),
    ["use---a-b-twice", "use---a-b-twice-1"],
  );
  assert.deepEqual(links, ["y-z", "index"]);
  for (const part of [
    'href="/docs/y-z#q"',
    'href="/docs/"',
    'href="/g.json"',
    "<code>&lt;i&gt;</code>",
    'data-label="a &quot;b&quot;"',
  ]) {
    assert.ok(body.includes(part), part);
  }
});
