import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { layout, type MenuItem } from "./docs-layout.ts";
import { type Document, indexName, parseDocument } from "./markdown.ts";

const folder = fileURLToPath(new URL("../../asset/docs/", import.meta.url));

interface Page {
  html: string;
  etag: string;
}

/**
 * Serves the documentation of `asset/docs` under `/docs/`. The pages are rendered once, when the server
 * starts.
 */
export async function docs(app: FastifyInstance): Promise<void> {
  const pages = renderPages();
  app.get("/docs", (_request, reply) => reply.redirect("/docs/", 301));
  app.get("/docs/", (request, reply) => send(pages.get(indexName), request, reply));
  app.get<{ Params: { name: string } }>("/docs/:name", (request, reply) => {
    const { name } = request.params;
    return send(name === indexName ? undefined : pages.get(name), request, reply);
  });
}

function send(page: Page | undefined, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!page) {
    reply.callNotFound();
    return reply;
  }
  reply.header("cache-control", "no-cache").header("etag", page.etag);
  if (matches(request.headers["if-none-match"], page.etag)) return reply.code(304).send();
  return reply.type("text/html; charset=utf-8").send(page.html);
}

/**
 * Compares weakly (RFC 9110, section 13.1.2), because a proxy that compresses a page marks its ETag as weak.
 */
function matches(header: string | undefined, etag: string): boolean {
  const tags = header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
}

function renderPages(): Map<string, Page> {
  const documents = new Map<string, Document>();
  for (const file of readdirSync(folder)) {
    if (!file.endsWith(".md")) continue;
    documents.set(basename(file, ".md"), parseDocument(readFileSync(folder + file, "utf8")));
  }
  // The menu has the order of the links in the index.
  const menu = (documents.get(indexName)?.links ?? []).map(
    (name): MenuItem => ({ name, title: documents.get(name)?.title ?? name }),
  );
  const pages = new Map<string, Page>();
  for (const [name, document] of documents) {
    const html = layout(name, document, menu);
    pages.set(name, { html, etag: `"${createHash("sha256").update(html).digest("base64url")}"` });
  }
  return pages;
}
