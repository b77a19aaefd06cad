import { fileURLToPath } from "node:url";
import serveStatic from "@fastify/static";
import type { FastifyInstance } from "fastify";

const asset = fileURLToPath(new URL("../../asset/", import.meta.url));

/** What a browser or an operator asks of the server by HTTP: the page to try it on, and its health. */
export async function http(app: FastifyInstance): Promise<void> {
  app.register(serveStatic, { root: asset });
  app.get("/healthz", () => ({ status: "ok" }));
}
