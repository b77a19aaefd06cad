import { fileURLToPath } from "node:url";
import helmet from "@fastify/helmet";
import serveStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";
import { docs } from "./docs.ts";

const asset = fileURLToPath(new URL("../../asset/", import.meta.url));
// The build copies lit-html next to the compiled sources. The sources serve the installed package instead: it
// resolves to the folder of the build for Node, and the build for browsers is one level up.
const isBuilt = import.meta.url.endsWith(".js");
const litHtml = fileURLToPath(
  isBuilt ? new URL("../lit-html/", import.meta.url) : new URL("..", import.meta.resolve("lit-html")),
);

/** Restricts the page to this server's files and addresses, and its markup to lit-html's templates. */
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

/** Serves the test page and the documentation. */
export async function page(app: FastifyInstance): Promise<void> {
  // The server usually speaks plain HTTP, so no header may redirect browsers to HTTPS.
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
