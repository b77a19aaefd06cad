import { fileURLToPath } from "node:url";
import helmet from "@fastify/helmet";
import serveStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { docs } from "./docs.ts";

const asset = fileURLToPath(new URL("../../asset/", import.meta.url));
// The build copies lit-html beside the compiled sources. The sources themselves serve the installed package: it
// resolves to the build for Node, in a folder of its own, and the browsers' is one level up.
const isBuilt = import.meta.url.endsWith(".js");
const litHtml = fileURLToPath(
  isBuilt ? new URL("../lit-html/", import.meta.url) : new URL("..", import.meta.resolve("lit-html")),
);

/** The page loads and calls nothing but this server, and writes no markup but what lit-html's templates hold. */
const contentSecurityPolicy = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    imgSrc: ["'self'"],
    connectSrc: ["'self'"],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
    requireTrustedTypesFor: ["'script'"],
    trustedTypes: ["lit-html"],
  },
};

/** The page to try the server on, and the documentation. */
export async function page(app: FastifyInstance): Promise<void> {
  // Served over plain HTTP as a rule: no header may send a browser to HTTPS.
  await app.register(helmet, { contentSecurityPolicy, strictTransportSecurity: false });
  app.register(docs);
  app.register(serveStatic, { root: asset });
  app.register(serveStatic, {
    root: litHtml,
    prefix: "/vendor/lit-html/",
    allowedPath: (path) => path.endsWith(".js"),
    decorateReply: false,
  });
}
