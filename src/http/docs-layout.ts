import { addressOf, type Document, indexName } from "./markdown.ts";

/** An entry of the documentation's menu. */
export interface MenuItem {
  name: string;
  /** Escaped. */
  title: string;
}

/** The HTML of one page of the documentation, with the menu and the page's table of contents. */
export function layout(name: string, { title, body, headings }: Document, menu: readonly MenuItem[]): string {
  const isIndex = name === indexName;
  const at = menu.findIndex((item) => item.name === name);
  const contents = headings.map(
    ({ id, html, depth }) => `<li class="depth-${depth}"><a href="#${id}">${html}</a></li>`,
  );
  const items = menu.map((item) => {
    const current = item.name === name ? ' aria-current="page"' : "";
    return `<li><a href="${addressOf(item.name)}"${current}>${item.title}</a></li>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${isIndex ? title : `${title} · roomcast`}</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/theme.css">
<link rel="stylesheet" href="/docs.css">
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header>
<a class="home" href="/docs/">roomcast docs</a>
<a class="to-menu" href="#menu">All pages</a>
<a href="/">Test page</a>
</header>
<main id="content">
<h1>${title}</h1>
${isIndex ? "" : section("contents", "On this page", contents)}
<article>
${body}</article>
${isIndex ? "" : neighbours(menu[at - 1], menu[at + 1])}
</main>
${section("menu", "Documentation", items)}
</body>
</html>
`;
}

const section = (
  id: string,
  label: string,
  items: readonly string[],
) => `<nav id="${id}" aria-label="${label}">
<p>${label}</p>
<ul>
${items.join("\n")}
</ul>
</nav>`;

const neighbours = (previous: MenuItem | undefined, next: MenuItem | undefined) =>
  `<nav id="neighbours" aria-label="Previous and next page">
${neighbour(previous, "prev", "Previous")}
${neighbour(next, "next", "Next")}
</nav>`;

const neighbour = (item: MenuItem | undefined, rel: string, label: string) =>
  item ? `<a rel="${rel}" href="${addressOf(item.name)}"><small>${label}</small> ${item.title}</a>` : "";
