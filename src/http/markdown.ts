import { Marked, type Tokens } from "marked";

/** A heading of a document. */
export interface Heading {
  id: string;
  /** The text as HTML. */
  html: string;
  depth: number;
}

/** A Markdown document as HTML. */
export interface Document {
  /** The text of the heading of level 1, escaped. */
  title: string;
  /** The HTML without that heading. */
  body: string;
  /** The other headings. */
  headings: Heading[];
  /** The names of the documents that it links to, in order. */
  links: string[];
}

/** The name of the document that `/docs/` shows. */
export const indexName = "index";

/** Renders GitHub-flavoured Markdown. A link to another document (`name.md#id`) becomes `/docs/name#id`. */
export function parseDocument(markdown: string): Document {
  const headings: Heading[] = [];
  const links: string[] = [];
  let title = "";
  const marked = new Marked({
    renderer: {
      heading({ depth, text, tokens }) {
        if (depth === 1) {
          title = escaped(text);
          return "";
        }
        const html = this.parser.parseInline(tokens);
        const id = uniqueId(slugOf(text), headings);
        headings.push({ id, html, depth });
        const anchor = `<a class="anchor" href="#${id}" aria-label="Link to “${escaped(text)}”">#</a>`;
        return `<h${depth} id="${id}">${html} ${anchor}</h${depth}>\n`;
      },
      link({ href, tokens }) {
        const [, name, fragment = ""] = href.match(/^([a-z-]+)\.md(#.*)?$/) ?? [];
        if (name) links.push(name);
        const address = name ? addressOf(name) + fragment : href.replace(/^\.\.\//, "/");
        return `<a href="${escaped(address)}">${this.parser.parseInline(tokens)}</a>`;
      },
      code({ text }) {
        // Focusable, so that keyboard users can scroll it.
        return `<pre tabindex="0"><code>${escaped(text)}</code></pre>\n`;
      },
      codespan({ text }) {
        // Keeps flags such as `--max-text` from breaking at their hyphens.
        const isWord = text.length <= longestWordChars && !text.includes(" ");
        return `<code${isWord ? ' class="word"' : ""}>${escaped(text)}</code>`;
      },
      table({ header, rows }) {
        const cell = ({ text, tokens }: Tokens.TableCell): Cell => ({
          text: escaped(text.replaceAll("`", "")),
          html: this.parser.parseInline(tokens),
        });
        return table(
          header.map(cell),
          rows.map((row) => row.map(cell)),
        );
      },
    },
  });
  const body = marked.parse(markdown, { async: false });
  return { title, body, headings, links };
}

/** The address of a document's page. */
export const addressOf = (name: string): string => (name === indexName ? "/docs/" : `/docs/${name}`);

/** The longest code that a narrow window shows in one line, in characters. */
const longestWordChars = 30;

interface Cell {
  /** Escaped, without Markdown. */
  text: string;
  html: string;
}

/**
 * The HTML of a table. Narrow windows stack the cells of a row, each under its label. The roles keep it a
 * table for assistive technology when CSS changes `display`.
 */
function table(labels: Cell[], rows: Cell[][]): string {
  const header = labels.map(({ html }) => `<th role="columnheader" scope="col">${html}</th>`).join("");
  const body = rows.map((cells) => {
    const columns = cells.map(
      ({ html }, n) => `<td role="cell" data-label="${labels[n]?.text}">${html}</td>`,
    );
    return `<tr role="row">${columns.join("")}</tr>\n`;
  });
  return `<div class="table"><table role="table">
<thead role="rowgroup"><tr role="row">${header}</tr></thead>
<tbody role="rowgroup">
${body.join("")}</tbody></table></div>\n`;
}

/** The id that GitHub gives a heading, so that links work both there and on the server's pages. */
const slugOf = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, "")
    .replace(/\s/g, "-");

function uniqueId(slug: string, headings: readonly Heading[]): string {
  const taken = new Set(headings.map(({ id }) => id));
  if (!taken.has(slug)) return slug;
  let count = 1;
  while (taken.has(`${slug}-${count}`)) count++;
  return `${slug}-${count}`;
}

const entities: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => entities[character] ?? "");
